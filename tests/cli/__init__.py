"""Test the command line as people use it: as a process of its own."""
