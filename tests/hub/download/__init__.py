"""Test bot/hub/download."""
