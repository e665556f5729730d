"""Test bot/tasks/classify."""
