"""Train, judge and draw with the bundled emoji model."""
