"""Test bot/store."""
