"""Test bot/tasks/describe."""
