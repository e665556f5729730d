"""Faster inference on a CPU."""
