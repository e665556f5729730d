"""Describe a model without loading it: from its folder, from the Hub's cache, or by asking the Hub."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.bundled.models import bundled_path
from bot.errors import ModelUnavailable, one_line
from bot.hub.access import (
    NO_SAFETENSORS,
    check_online,
    from_hub_error,
    model_unavailable,
    shown_endpoint,
    translate_hub_errors,
)
from bot.hub.client import NotAHubError, as_not_a_hub, hub_api
from bot.hub.download.repository import describe, needed_files, read_config
from bot.hub.libraries.builder_facts import builder_facts
from bot.hub.model_card import read_readme
from bot.hub.model_filter import ANYTHING, ModelFilter, architectures
from bot.hub.reference import ModelReference, parse_reference
from bot.hub.resolve import is_here, local_folder, read_meta, weight_files
from bot.hub.weight_info import WeightInfo, fetch_weights, read_weights

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Tell about one model. What isn't known is empty or None; `text` is its model card, in Markdown.

    `kind` is its architecture, `cached` says that it needs no download, `trouble` why it can't be used. `base_models`
    are what it was made from, `trigger` the words that an adapter was trained to hear.
    """

    reference: str
    name: str
    kind: str = ""
    revision: str | None = None
    licence: str = ""
    languages: tuple[str, ...] = ()
    base_models: tuple[str, ...] = ()
    trigger: str = ""
    cached: bool = False
    gated: bool | None = None
    downloads: int | None = None
    weights: WeightInfo = field(default_factory=WeightInfo)
    page: str = ""
    text: str = ""
    trouble: str = ""


def local_card(text: str, model_filter: ModelFilter = ANYTHING) -> Card:
    """Return what is known on this machine; nothing is asked of a Hub."""
    reference = parse_reference(text)
    card = Card(reference=text, name=reference.short_name, revision=reference.revision, page=_page(reference))
    if reference.scheme == "torchvision":
        return _or_forbidden(_of_builder(card, reference, model_filter), reference)
    if reference.scheme == "torchhub":
        return _or_forbidden(replace(card, cached=is_here(text)), reference)
    folder = local_folder(reference)
    if folder is None:
        return _or_forbidden(replace(card, trouble=_why_no_folder(reference)), reference)
    try:
        return _of_folder(card, reference, folder, model_filter)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        return replace(card, cached=True, trouble=f"Its files can't be read ({one_line(error)}).")


def hub_card(text: str, model_filter: ModelFilter = ANYTHING) -> Card:
    """Return what the Hub tells too, fetching small files only; raise ModelUnavailable when it tells nothing."""
    card, reference = local_card(text, model_filter), parse_reference(text)
    if reference.scheme != "hf":
        return card
    try:
        with translate_hub_errors(reference), as_not_a_hub():
            card = _with_info(card, model_info(reference))
    except ModelUnavailable:
        if not card.cached:
            raise
    return card if card.cached else _with_small_files(card, reference, model_filter)


def _or_forbidden(card: Card, reference: ModelReference) -> Card:
    """Add that a model may not be fetched, where it would have to be."""
    if card.cached or card.trouble:
        return card
    try:
        check_online(reference)
    except ModelUnavailable as error:
        return replace(card, trouble=_hint(reference, error))
    return card


def _why_no_folder(reference: ModelReference) -> str:
    """Return why a model isn't on this machine, unless it can be fetched."""
    if reference.scheme == "path":
        return "There is no such folder or file."
    if reference.scheme == "bundled":
        try:
            bundled_path(reference.name)
        except ModelUnavailable as error:
            return str(error)
    return ""


def _of_builder(card: Card, reference: ModelReference, model_filter: ModelFilter) -> Card:
    """Add what torchvision tells about a builder and its weights."""
    try:
        model_filter.check(reference, {})
        facts = builder_facts(reference)
    except ModelUnavailable as error:
        return replace(card, trouble=_hint(reference, error))
    size_bytes = int(facts.meta.get("_file_size", 0) * (1 << 20))
    return replace(
        card,
        kind=facts.builder,
        revision=facts.weights,
        licence="bsd-3-clause",
        cached=facts.file.is_file(),
        weights=WeightInfo(size_bytes, {"F32": facts.meta.get("num_params", size_bytes // 4)}),
        page=facts.meta.get("recipe", ""),
        text=inspect.cleandoc(facts.meta.get("_docs", "")),
        trouble=facts.trouble(model_filter),
    )


def _of_folder(card: Card, reference: ModelReference, folder: Path, model_filter: ModelFilter) -> Card:
    """Add what the files of a model tell."""
    revision = folder.name if reference.scheme == "hf" else read_meta(folder).get("revision")
    weights = read_weights(weight_files(reference, folder))
    found = replace(card, cached=True, revision=revision, weights=weights)
    return _described(found, reference, folder, model_filter)


def model_info(reference: ModelReference) -> ModelInfo:
    """Ask the Hub about a repository; raise ModelUnavailable."""
    with translate_hub_errors(reference), as_not_a_hub():
        return hub_api().model_info(reference.name, revision=reference.revision, timeout=_TIMEOUT_S)


def newest_commit(reference: ModelReference) -> str:
    """Return the newest commit of a reference's branch; raise ModelUnavailable when it has no safetensors.

    A commit counts as one of the main branch; one that isn't, like that of a branch for fp16, stays as it is.
    """
    info = model_info(replace(reference, revision=None) if reference.is_commit else reference)
    if not any(file.rfilename.endswith(".safetensors") for file in info.siblings or ()):
        raise model_unavailable(reference, NO_SAFETENSORS)
    if not isinstance(info.sha, str):
        raise from_hub_error(reference, NotAHubError("a repository without a commit"))
    if not reference.is_commit or reference.revision in (info.sha, *_commits(reference)):
        return info.sha
    return str(reference.revision)


def _commits(reference: ModelReference) -> list[str]:
    """Return the commits of a repository's main branch; raise ModelUnavailable."""
    with translate_hub_errors(reference), as_not_a_hub():
        return [commit.commit_id for commit in hub_api().list_repo_commits(reference.name)]


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


def _with_small_files(card: Card, reference: ModelReference, model_filter: ModelFilter) -> Card:
    """Add what the small files of a repository tell, or why they can't be had."""
    try:
        folder = describe(reference)
        with translate_hub_errors(reference):
            card = _described(card, reference, folder, model_filter)
            files = needed_files(reference, folder)
            sizes = {file.path: file.size for file in files if file.path.endswith(".safetensors")}
            return replace(card, weights=fetch_weights(reference.name, folder.name, sizes))
    except ModelUnavailable as error:
        return replace(card, trouble=card.trouble or _hint(reference, error))


def _described(card: Card, reference: ModelReference, folder: Path, model_filter: ModelFilter) -> Card:
    """Add what a model's configuration and card tell."""
    config = read_config(folder)
    readme = read_readme(folder)
    return replace(
        card,
        kind=" and ".join(architectures(config)),
        licence=readme.licence,
        languages=readme.languages,
        base_models=readme.base_models,
        trigger=readme.trigger,
        text=readme.text,
        trouble=_trouble(reference, config, model_filter),
    )


def _trouble(reference: ModelReference, config: Mapping[str, Any], model_filter: ModelFilter) -> str:
    try:
        model_filter.check(reference, config)
    except ModelUnavailable as error:
        return _hint(reference, error)
    return ""


def _hint(reference: ModelReference, error: ModelUnavailable) -> str:
    """Return what an error tells the host, without the reference: a card has that anyway."""
    return str(error.values["hint"]).removeprefix(f"{reference.text}: ")


def _page(reference: ModelReference) -> str:
    return f"{shown_endpoint()}/{reference.name}" if reference.scheme == "hf" else ""
