"""Texts for people in their own language."""
