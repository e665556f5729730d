"""Test each command's whole life on a simulated Discord."""
