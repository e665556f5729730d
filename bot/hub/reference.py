"""Read model references: one string names a model everywhere.

hf:ORG/NAME@REVISION             a Hugging Face Hub repository
hf:ORG/NAME@REVISION#FILE.safetensors  one file of it (an adapter)
torchvision:resnet50             torchvision's own builder, with its default weights
torchvision:ResNet50_Weights.IMAGENET1K_V2
torchhub:OWNER/REPO:TAG#ENTRY    a PyTorch Hub repository, at a tag or commit
path:models/NAME                 a local folder in hub format, or one safetensors file (an adapter)
bundled:NAME                     a small model that comes with hubcord
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePath

from bot.errors import BadInput

HOW_TO_WRITE = "hf:ORG/NAME@REVISION, torchvision:NAME, torchhub:OWNER/REPO:TAG#ENTRY, path:FOLDER or bundled:NAME"
_VALID = {
    "hf": re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?(#(?!/|.*\.\./)[\w./-]+\.safetensors)?"),
    "torchvision": re.compile(r"\w+(\.\w+)?"),
    "torchhub": re.compile(r"[\w.-]+/[\w.-]+:[\w./-]+#\w+"),
    "path": re.compile(r".+", re.DOTALL),
    "bundled": re.compile(r"[\w.-]+"),
}
FORMS = frozenset(_VALID)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHORT_COMMIT = re.compile(r"[0-9a-f]{8,40}")
COMMIT_SHOWN = 7
"""How much of a commit people see."""


@dataclass(frozen=True, slots=True)
class ModelReference:
    """Hold the parts of a reference: `scheme`, `name`, and `revision` and `entry` (a file) where the form has them."""

    scheme: str
    name: str
    revision: str | None = None
    entry: str | None = None

    @property
    def text(self) -> str:
        """Return the reference as it is written in the configuration."""
        if self.scheme == "torchhub":
            return f"{self.scheme}:{self.name}:{self.revision}#{self.entry}"
        text = f"{self.scheme}:{self.name}" + (f"@{self.revision}" if self.revision else "")
        return text + (f"{'/' if self.scheme == 'path' else '#'}{self.entry}" if self.entry else "")

    @property
    def short_name(self) -> str:
        """Return the name that people see: no scheme, no folders of the host's machine."""
        if self.scheme == "path":
            return self.entry or _folder_name(self.name)
        return f"{self.name}#{self.entry}" if self.entry else self.name

    @property
    def is_commit(self) -> bool:
        """Say whether the revision is a commit, which never changes."""
        return bool(self.revision and _COMMIT.fullmatch(self.revision))


def parse_reference(text: str) -> ModelReference:
    """Read a model reference; raise BadInput when it has none of the known forms."""
    scheme, colon, rest = text.strip().partition(":")
    pattern = _VALID.get(scheme)
    if not colon or pattern is None or not pattern.fullmatch(rest):
        raise BadInput("“{text}” is no model reference. Write {forms}.", text=text[:100], forms=HOW_TO_WRITE)
    if scheme == "torchhub":
        repository, _, pin = rest.partition(":")
        return ModelReference(scheme, repository, *pin.split("#"))
    if scheme == "path" and rest.endswith(".safetensors"):
        return ModelReference(scheme, str(PurePath(rest).parent), entry=PurePath(rest).name)
    if scheme != "hf":
        return ModelReference(scheme, rest)
    repository, _, entry = rest.partition("#")
    name, _, revision = repository.partition("@")
    return ModelReference(scheme, name, revision or None, entry or None)


def _folder_name(path: str) -> str:
    """Return a folder's own name; for `.` and `..` that of the folder they mean."""
    name = PurePath(path).name
    return name if name not in ("", "..") else Path(path).resolve().name or path


def shown_model(name: str, revision: str | None) -> str:
    """Return `name@revision` for people, a commit hash cut short."""
    if not revision:
        return name
    return f"{name}@{revision[:COMMIT_SHOWN] if _SHORT_COMMIT.fullmatch(revision) else revision}"
