"""How the deltas of the Bergamot models were distilled, and how they are measured."""
