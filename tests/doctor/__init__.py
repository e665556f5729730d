"""Test what `hubcord doctor` finds."""
