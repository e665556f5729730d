"""Test bot/components."""
