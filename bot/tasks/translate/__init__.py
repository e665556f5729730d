"""/translate: a text in another language."""
