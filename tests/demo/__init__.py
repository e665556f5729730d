"""Test the demo as people use it: as a process, in a browser."""
