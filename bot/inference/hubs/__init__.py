"""Speak with the model hubs: find, fetch and check models, read their cards, keep the cache."""
