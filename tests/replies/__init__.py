"""Test bot/replies."""
