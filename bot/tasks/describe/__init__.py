"""/describe: a sentence about a picture."""
