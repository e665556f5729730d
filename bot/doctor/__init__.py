"""Look for everything that would keep the bot from working, and say the one thing to do about it."""
