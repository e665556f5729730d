"""Name the classes and builders that load a model, from its reference and its configuration."""
