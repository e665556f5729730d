"""Hold one module for each task: its request, its result and its pipeline, together."""
