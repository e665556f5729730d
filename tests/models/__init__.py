"""Make tiny models with random weights."""
