"""Bring a job's answer to where it was asked for, whatever became of the interaction."""
