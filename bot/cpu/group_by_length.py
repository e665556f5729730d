"""Divide a batch into forward passes so that little is spent on padding."""

from __future__ import annotations

import math
from collections.abc import Sequence

OVERHEAD = 24
"""What a forward pass costs besides its padded tokens, in tokens: measured with MiniLM on two CPU cores."""


def group_by_length(lengths: Sequence[int], *, most: int, overhead: int = OVERHEAD) -> list[list[int]]:
    """Return the places of `lengths` in groups, shortest first, with the least padding and overhead in all.

    A group has at most `most` units when every member is padded to its longest; a longer member goes alone. Over the
    sorted lengths the best division is found by dynamic programming, in O(n^2) steps.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    best = [0.0] + [float("inf")] * len(order)
    starts = [0] * (len(order) + 1)
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        for start in range(end - 1, -1, -1):
            padded = (end - start) * longest
            if padded > most and start < end - 1:
                break
            cost = best[start] + overhead + padded
            if cost < best[end]:
                best[end], starts[end] = cost, start
    return _divided(order, starts)


def passes_by_length(lengths: Sequence[int], *, most: int) -> list[list[int]]:
    """Return the places of `lengths`, shortest first, in few and about even passes, where nothing is padded.

    A pass has at most `most` units; a longer member goes alone.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    total = sum(lengths)
    even = total / max(math.ceil(total / most), 1)
    passes: list[list[int]] = []
    units = 0
    for place in order:
        if not passes or units >= even or units + lengths[place] > most:
            passes.append([])
            units = 0
        passes[-1].append(place)
        units += lengths[place]
    return passes


def _divided(order: list[int], starts: list[int]) -> list[list[int]]:
    groups: list[list[int]] = []
    end = len(order)
    while end:
        groups.append(order[starts[end] : end])
        end = starts[end]
    return groups[::-1]
