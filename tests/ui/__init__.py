"""Test bot/ui."""
