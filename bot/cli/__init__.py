"""Use every task, and the bot itself, from the command line."""
