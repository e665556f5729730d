"""/imagine: pictures from a prompt."""
