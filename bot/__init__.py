"""hubcord: the model hubs in a Discord server, on one fair GPU job queue."""
