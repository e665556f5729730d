"""Test bot/tasks."""
