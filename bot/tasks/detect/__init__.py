"""/detect: where things are in a picture."""
