"""Hold one Discord cog for each command; every module here is loaded by its name."""
