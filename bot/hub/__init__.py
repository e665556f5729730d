"""From a model reference to files on the disk."""
