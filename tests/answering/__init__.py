"""Test how answers are followed, told in turn, and brought to who asked."""
