"""Describe a model without loading it: from its folder, from the Hub's cache, or by asking the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.errors import ModelUnavailable
from bot.inference.accepts import ANYTHING, Accepts, architectures
from bot.inference.access import why_not
from bot.inference.builders import fetched_file, find_builder
from bot.inference.fetch import CARD, describe, needed_files, read_config
from bot.inference.hub import local_folder, read_meta, weight_files
from bot.inference.reference import ModelReference, parse_reference
from bot.inference.weights import Weights, fetch_weights, read_weights

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Tell about one model. What isn't known is empty or None; `text` is its model card, in Markdown.

    `kind` is its architecture, `cached` says that it needs no download, `trouble` why it can't be used.
    """

    reference: str
    name: str
    kind: str = ""
    revision: str | None = None
    licence: str = ""
    languages: tuple[str, ...] = ()
    cached: bool = False
    gated: bool | None = None
    downloads: int | None = None
    weights: Weights = field(default_factory=Weights)
    page: str = ""
    text: str = ""
    trouble: str = ""


def local_card(text: str, accepts: Accepts = ANYTHING) -> Card:
    """Return what is known on this machine; nothing is asked of a Hub."""
    reference = parse_reference(text)
    card = Card(reference=text, name=reference.short_name, revision=reference.revision, page=_page(reference))
    folder = local_folder(reference)
    if folder is None:
        return card
    revision = folder.name if reference.scheme == "hf" else read_meta(folder).get("revision")
    weights = read_weights(weight_files(reference, folder))
    found = replace(card, cached=True, revision=revision, weights=weights)
    return _described(found, reference, folder, accepts)


def hub_card(text: str, accepts: Accepts = ANYTHING) -> Card:
    """Return what the Hub tells too, fetching small files only; raise ModelUnavailable when it tells nothing."""
    card, reference = local_card(text, accepts), parse_reference(text)
    if reference.scheme == "torchvision":
        return _with_builder(card, reference)
    if reference.scheme != "hf":
        return card
    try:
        card = _with_info(card, model_info(reference))
    except ModelUnavailable:
        if not card.cached:
            raise
    return card if card.cached else _with_small_files(card, reference, accepts)


def _with_builder(card: Card, reference: ModelReference) -> Card:
    """Add what torchvision tells about a builder and its weights."""
    builder, weights = find_builder(reference)
    file = fetched_file(weights)
    return replace(
        card,
        kind=builder,
        revision=weights.name,
        cached=file.is_file(),
        weights=Weights(int(weights.meta["_file_size"] * 1e6), {"F32": weights.meta["num_params"]}),
        page=weights.meta.get("recipe") or "",
        text=weights.meta.get("_docs", "").strip(),
    )


def model_info(reference: ModelReference) -> ModelInfo:
    """Ask the Hub about a repository; raise ModelUnavailable."""
    import httpx2
    from huggingface_hub import HfApi

    try:
        return HfApi().model_info(reference.name, revision=reference.revision)
    except (httpx2.HTTPError, OSError, ValueError) as error:
        raise why_not(reference, error) from error


def _with_info(card: Card, info: ModelInfo) -> Card:
    """Add what the Hub shows of every repository, also of those whose files it doesn't give."""
    licences = [tag.partition(":")[2] for tag in info.tags or () if tag.startswith("license:")]
    kind = " and ".join(architectures(info.config or {}))
    return replace(
        card,
        kind=card.kind or kind,
        revision=info.sha,
        gated=bool(info.gated),
        downloads=info.downloads,
        licence=card.licence or next(iter(licences), ""),
    )


def _with_small_files(card: Card, reference: ModelReference, accepts: Accepts) -> Card:
    """Add what the small files of a repository tell, or why they can't be had."""
    try:
        folder = describe(reference)
        card = _described(card, reference, folder, accepts)
        files = needed_files(reference, folder)
        sizes = {file.path: file.size for file in files if file.path.endswith(".safetensors")}
        return replace(card, weights=fetch_weights(reference.name, folder.name, sizes))
    except ModelUnavailable as error:
        return replace(card, trouble=card.trouble or str(error.values["hint"]))


def _described(card: Card, reference: ModelReference, folder: Path, accepts: Accepts) -> Card:
    """Add what a model's configuration and card tell."""
    config = read_config(folder)
    data, text = _read_card(folder)
    language = data.get("language") or ()
    return replace(
        card,
        kind=" and ".join(architectures(config)),
        licence=str(data.get("license") or ""),
        languages=(language,) if isinstance(language, str) else tuple(map(str, language)),
        text=text,
        trouble=_trouble(reference, config, accepts),
    )


def _trouble(reference: ModelReference, config: Mapping[str, Any], accepts: Accepts) -> str:
    try:
        accepts.check(reference, config)
    except ModelUnavailable as error:
        return str(error.values["hint"])
    return ""


def _read_card(folder: Path) -> tuple[dict[str, Any], str]:
    """Return the data at the head of a model card, and its text."""
    from huggingface_hub import ModelCard

    if not (folder / CARD).is_file():
        return {}, ""
    card: Any = ModelCard((folder / CARD).read_text(encoding="utf-8"), ignore_metadata_errors=True)
    return card.data.to_dict(), card.text.strip()


def _page(reference: ModelReference) -> str:
    from huggingface_hub.constants import ENDPOINT

    return f"{ENDPOINT}/{reference.name}" if reference.scheme == "hf" else ""
