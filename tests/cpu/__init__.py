"""Test bot/cpu."""
