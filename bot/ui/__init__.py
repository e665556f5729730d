"""How a message is written, whatever it says."""
