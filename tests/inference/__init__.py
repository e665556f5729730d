"""Test models, pipelines and what surrounds them."""
