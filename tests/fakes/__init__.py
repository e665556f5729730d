"""Stand in for models and devices, and know Discord's rules."""
