"""Test bot/tasks/imagine."""
