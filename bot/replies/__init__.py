"""Follow a job and answer it in Discord, exactly once."""
