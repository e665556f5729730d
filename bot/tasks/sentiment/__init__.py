"""/sentiment: the mood of a text."""
