"""Test the whole bot as a process that talks to a Discord on this machine over real sockets."""
