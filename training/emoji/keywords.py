"""List, for each glyph, the English keywords of Unicode (CLDR) that no other glyph of the table has.

``glyphs.tsv`` was written with this list at hand: keywords that are words for the thing were kept.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

from training.emoji.data import Glyph, read_table

VARIATION_SELECTOR = "\ufe0f"


def read_keywords(path: Path, glyphs: list[Glyph]) -> dict[str, list[str]]:
    """Return the spoken name and the keywords of each glyph, in lower case."""
    entries = json.loads(path.read_text(encoding="utf-8"))["annotations"]["annotations"]
    found = {}
    for glyph in glyphs:
        character = chr(glyph.codepoint)
        entry = entries.get(character) or entries.get(character + VARIATION_SELECTOR) or {"tts": [], "default": []}
        found[glyph.name] = [word.lower() for word in dict.fromkeys([*entry["tts"], *entry["default"]])]
    return found


def main() -> None:
    """Print one line for each glyph; a star marks words that the table has."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("annotations", type=Path, help="annotations/en/annotations.json of cldr-annotations-full")
    glyphs = read_table()
    keywords = read_keywords(parser.parse_args().annotations, glyphs)
    owners = Counter(word for words in keywords.values() for word in words)
    for glyph in glyphs:
        own = [word for word in keywords[glyph.name] if owners[word] == 1]
        known = (glyph.name, *glyph.synonyms)
        print(f"{glyph.name}: {', '.join(word + '*' * (word in known) for word in own)}")


if __name__ == "__main__":
    main()
