"""How the delta of `minilm-sentiment` was trained, and how it is measured."""
