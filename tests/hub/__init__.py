"""Test bot/hub."""
