"""Test bot/engine."""
