"""Load the human-rated sentences of vaderSentiment's source package, fetching it with pip when it is missing.

The texts are quotes of third parties (tweets, film and product reviews, editorials): they are read from the
package and never committed. The package is MIT; each text was rated by 20 people from -4 to +4 (Hutto &
Gilbert, ICWSM 2014).
"""

from __future__ import annotations

import hashlib
import html
import io
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from bot.bundled.models import cache_root

PACKAGE = "vaderSentiment==3.3.2"
ARCHIVE = "vaderSentiment-3.3.2.tar.gz"
SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
RATINGS = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
SOURCES = ("tweets", "movieReviewSnippets", "amazonReviewSnippets", "nytEditorialSnippets")
LABELS = ("negative", "neutral", "positive")
CUT = 0.5


@dataclass(frozen=True)
class Sentence:
    """Hold one text with its mean rating, -4 to +4."""

    source: str
    rating: float
    text: str

    @property
    def label(self) -> int:
        """Return the class: below -0.5, between, or above +0.5."""
        return 2 if self.rating >= CUT else 0 if self.rating <= -CUT else 1

    @property
    def held_out(self) -> bool:
        """Say whether the sentence is kept from training: one in ten, by the text's hash."""
        return int(hashlib.md5(self.text.encode(), usedforsecurity=False).hexdigest(), 16) % 10 == 0


def load() -> list[Sentence]:
    """Return all sentences, 23,703 of them, in the package's order."""
    with tarfile.open(archive()) as outer:
        inner = outer.extractfile(RATINGS)
        assert inner is not None
        with tarfile.open(fileobj=io.BytesIO(inner.read())) as ratings:
            return [sentence for source in SOURCES for sentence in _read(ratings, source)]


def _read(ratings: tarfile.TarFile, source: str) -> list[Sentence]:
    name = next(name for name in ratings.getnames() if name.endswith(f"/{source}_GroundTruth.txt"))
    file = ratings.extractfile(name)
    assert file is not None
    rows = [line.split("\t") for line in file.read().decode("utf-8", "replace").split("\n")]
    found = [Sentence(source, float(row[1]), html.unescape(row[2]).strip()) for row in rows if len(row) >= 3]
    return [sentence for sentence in found if sentence.text]


def archive() -> Path:
    """Return the source package's archive in the cache; pip fetches it once, and its hash is checked."""
    folder = cache_root() / "training" / "sentiment"
    path = folder / ARCHIVE
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        fetch = ["download", "--no-deps", "--no-binary", ":all:", "--dest", str(folder), PACKAGE]
        subprocess.run([sys.executable, "-m", "pip", *fetch], check=True)  # noqa: S603 - fixed arguments
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise ValueError(f"{path} is not the archive of {PACKAGE} that the figures were measured on; delete it")
    return path
