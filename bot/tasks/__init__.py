"""What the bot can do: one folder for each command, and what the tasks share."""
