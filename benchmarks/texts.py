"""Make mixed-length texts that are the same everywhere."""

from __future__ import annotations

import random

_WORDS = (  # noqa: SIM905 - easier to read than a list of strings
    "the a and but with from this that they what really quite never always good bad great awful fine love "
    "hate like day night game music movie food people server channel message friend team work code bug "
    "update release picture yesterday today tomorrow morning weather coffee train station beautiful "
    "terrible wonderful boring slow fast "
).split()
_MEDIAN_WORDS, _SPREAD, _MOST_WORDS = 14, 0.8, 160


def mixed_texts(count: int, *, seed: int = 0) -> list[str]:
    """Return texts whose lengths in words are log-normal, as chat messages' are: many short, few long."""
    chooser = random.Random(seed)
    lengths = [int(chooser.lognormvariate(0, _SPREAD) * _MEDIAN_WORDS) for _ in range(count)]
    return [" ".join(chooser.choices(_WORDS, k=min(max(length, 1), _MOST_WORDS))) for length in lengths]
