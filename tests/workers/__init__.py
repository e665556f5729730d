"""Test bot/workers."""
