"""Load models and run them on a device, knowing nothing of Discord."""
