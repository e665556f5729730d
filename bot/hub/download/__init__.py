"""Download models: repositories, weights, in a process of its own."""
