"""Test bot/machine."""
