"""Test bot/tasks/translate."""
