"""Test bot/tasks/detect."""
