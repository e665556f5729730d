"""Test hubcord."""
