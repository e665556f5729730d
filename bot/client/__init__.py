"""What every bot needs of discord.py: the command tree, errors, rights, the models that moderators chose."""
