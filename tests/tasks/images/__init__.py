"""Test bot/tasks/images."""
