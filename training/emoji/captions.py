"""Write the many ways in which a person asks for one emoji on one background.

The words for things stand in ``glyphs.tsv``; they were chosen by hand, most of them from Unicode's
English keywords (CLDR) that belong to a single emoji of the table (``keywords.py`` lists those). The
words around them stand in ``wordings.toml``.
"""

import random
import string
import tomllib
from pathlib import Path

from training.emoji.data import COLOURS, Glyph

WORDINGS: dict[str, list[str]] = tomllib.loads(Path(__file__).with_name("wordings.toml").read_text("utf-8"))


def with_article(phrase: str, rng: random.Random) -> str:
    """Put a, an or, now and then, another little word before ``phrase``."""
    if rng.random() < 0.15:
        return phrase
    if rng.random() < 0.15:
        return f"{rng.choice(WORDINGS['articles'])} {phrase}"
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


def thing(glyph: Glyph, rng: random.Random) -> str:
    """Return the name or a synonym, sometimes with adjectives.

    A colour before it means nothing (except for hearts): no glyph can be recoloured.
    """
    word = glyph.name if rng.random() < 0.5 else rng.choice(glyph.synonyms)
    roll = rng.random()
    if roll < 0.04 and glyph.category != "hearts":
        return f"{rng.choice(list(COLOURS))} {word}"
    if roll < 0.3:
        return f"{rng.choice(WORDINGS['adjectives'])} {word}"
    return f"{rng.choice(WORDINGS['adjectives'])} {rng.choice(WORDINGS['adjectives'])} {word}" if roll < 0.34 else word


def phrase(glyph: Glyph, rng: random.Random) -> str:
    """Return the thing with the words of a request around it."""
    parts = [with_article(thing(glyph, rng), rng)]
    if rng.random() < 0.3:
        parts.insert(0, rng.choice(WORDINGS["pictures"]))
    if rng.random() < 0.35:
        parts.insert(0, rng.choice(WORDINGS["requests"]))
    if rng.random() < 0.2:
        parts.append(rng.choice(WORDINGS["after"]))
    return " ".join(parts)


def caption(glyph: Glyph, colour: str, rng: random.Random) -> str:
    """Return one random request; white is the background of most requests that name none."""
    text = phrase(glyph, rng)
    if colour == "white" and rng.random() < 0.7:
        return text + rng.choice(["", "", ".", "!", "?"])
    if rng.random() < 0.15:
        return f"{rng.choice(WORDINGS['backgrounds_first']).format(colour)} {text}"
    after = rng.choice(WORDINGS["backgrounds"]).format(colour)
    return (text + after if after.startswith(",") else f"{text} {after}") + rng.choice(
        ["", "", "", ".", " please", "!"]
    )


def disturbed(text: str, rng: random.Random) -> str:
    """Put one to three made-up words into one caption of five: unknown words shall not matter."""
    words = text.split()
    for _ in range(rng.randint(1, 3) if rng.random() < 0.2 else 0):
        letters = rng.choices(string.ascii_lowercase, k=rng.randint(2, 7))
        words.insert(rng.randint(0, len(words)), "".join(letters))
    return " ".join(words)
