"""Say how numbers become 8-bit integers: value = scale * integer, with a scale that fits the largest one."""

LARGEST = 127
SMALLEST_SCALE = 1e-8
MIDDLE = 128
"""The byte that stands for 0 where numbers may be negative: oneDNN multiplies bytes of 0 to 255 fastest."""
