"""How `efficientnet-lite0` is checked against the original network."""
