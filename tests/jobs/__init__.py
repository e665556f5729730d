"""Test the queue, its estimates, its store and its workers."""
