"""Tell what fits a model before a job is queued, by files on this machine. torch isn't needed here."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.errors import ModelUnavailable
from bot.hub.download.repository import known
from bot.hub.json_files import read_json
from bot.hub.libraries.class_source import class_source
from bot.hub.model_card import read_readme
from bot.hub.reference import ModelReference, parse_reference, shown_model
from bot.hub.resolve import ModelFiles, local_folder, local_model
from bot.tasks.imagine.adapters import takes_none, unfit
from bot.tasks.imagine.family import is_text_to_image
from bot.tasks.imagine.image_sizes import denoiser_config
from bot.tasks.imagine.loras import LoraSettings
from bot.tasks.imagine.schedulers import SCHEDULERS, OwnScheduler

if TYPE_CHECKING:
    from bot.tasks.imagine.task import ImagineRequest, ImagineSettings

_UNREADABLE = contextlib.suppress(OSError, ValueError, TypeError, ModelUnavailable)
Network = tuple[str, int]
"""What an adapter is made for: the class of a UNet or transformer, and how wide the text is that it hears."""
_SD1, _SD2, _SDXL = (("UNet2DConditionModel", width) for width in (768, 1024, 2048))
_SD3, _FLUX = ("SD3Transformer2DModel", 4096), ("FluxTransformer2DModel", 4096)
_NETWORKS: Mapping[str, Network] = {
    "compvis/stable-diffusion-v1-4": _SD1,
    "runwayml/stable-diffusion-v1-5": _SD1,
    "stable-diffusion-v1-5/stable-diffusion-v1-5": _SD1,
    "stabilityai/stable-diffusion-2": _SD2,
    "stabilityai/stable-diffusion-2-base": _SD2,
    "stabilityai/stable-diffusion-2-1": _SD2,
    "stabilityai/stable-diffusion-2-1-base": _SD2,
    "stabilityai/sd-turbo": _SD2,
    "stabilityai/stable-diffusion-xl-base-1.0": _SDXL,
    "stabilityai/sdxl-turbo": _SDXL,
    "stabilityai/stable-diffusion-3-medium": _SD3,
    "stabilityai/stable-diffusion-3-medium-diffusers": _SD3,
    "stabilityai/stable-diffusion-3.5-medium": _SD3,
    "stabilityai/stable-diffusion-3.5-large": _SD3,
    "black-forest-labs/flux.1-dev": _FLUX,
    "black-forest-labs/flux.1-schnell": _FLUX,
}
"""Those that the cards of most adapters name, as their own configurations say: they needn't be on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Hold what is known of a model without loading it; None is unknown."""

    shown: str = ""
    own: OwnScheduler | None = None
    network: Network | None = None

    @property
    def takes_none(self) -> bool:
        """Say whether this kind of pipeline is known to have no place for adapters."""
        if self.own is None:
            return False
        bases = class_source("diffusers", "pipelines", self.own.pipeline).bases
        return not any(base.endswith("LoraLoaderMixin") for base in bases)


def fitting_schedulers(model: str) -> Sequence[str]:
    """Return the schedulers that a model can use; all while that isn't known."""
    own = _read_facts(model).own
    return own.fitting if own else SCHEDULERS


def fitting_loras(settings: ImagineSettings, models: Collection[str]) -> dict[str, list[LoraSettings]]:
    """Return for each model the adapters that are offered: those that the host or their card says are for it, or any.

    What the host says (`for`) counts alone. An adapter is for any model while nothing says that it isn't.
    """
    made_for = {lora.name: _made_for(lora, settings) for lora in settings.loras if not lora.models}

    def is_offered(lora: LoraSettings, model: str, facts: Facts) -> bool:
        if lora.models:
            return model in map(settings.choose, lora.models)
        return not (facts.takes_none or _is_other(facts.network, made_for[lora.name]))

    offered = {}
    for model in models:
        facts = _read_facts(model)
        offered[model] = [lora for lora in settings.loras if is_offered(lora, model, facts)]
    return offered


def check_fit(request: ImagineRequest, settings: ImagineSettings) -> None:
    """Raise what the worker would, as far as it is known here: BadInput or ModelUnavailable."""
    scheduler = request.scheduler or settings.defaults_of(request.model).scheduler
    if not (scheduler or request.loras):
        return
    facts = _read_facts(request.model)
    if scheduler and facts.own:
        facts.own.check(scheduler, facts.shown)
    for lora in map(settings.lora, request.loras):
        if facts.takes_none:
            raise takes_none(lora.name, facts.shown)
        if not lora.models and _is_other(facts.network, _made_for(lora, settings)):
            bases = ", ".join(_base_models(lora))
            raise unfit(lora.name, facts.shown, f"{lora.model}: its card says that it is for {bases}")


def _read_facts(model: str) -> Facts:
    """Return what is known of a model; files that can't be read are the worker's to complain of."""
    with _UNREADABLE:
        reference, files = parse_reference(model), local_model(model)
        shown = files.shown if files else shown_model(reference.short_name, reference.revision)
        return Facts(shown=shown, own=_own_scheduler(files) if files else None, network=_network(reference))
    return Facts()


def _own_scheduler(files: ModelFiles) -> OwnScheduler | None:
    match files.config:
        case {"_class_name": str(pipeline), "scheduler": [_, str(kind)]} if files.folder and is_text_to_image(pipeline):
            config = read_json(files.folder / "scheduler" / "scheduler_config.json")
            return OwnScheduler(pipeline=pipeline, kind=kind, config=config)
    return None


def _network(reference: ModelReference) -> Network | None:
    """Return what a model's configuration says of its network, else what is known of a repository by its name."""
    folder, core = _folder(reference), dict[str, Any]()
    with _UNREADABLE:
        core = denoiser_config(folder) if folder else {}
    match core.get("_class_name"), core.get("cross_attention_dim") or core.get("joint_attention_dim"):
        case str(kind), int(width):
            return kind, width
    return _NETWORKS.get(reference.name.casefold())


def _made_for(lora: LoraSettings, settings: ImagineSettings) -> set[Network | None]:
    """Return the networks of the models that an adapter's card names; None among them stands for an unknown one."""
    here = {reference.name.casefold(): reference for reference in map(parse_reference, settings.models)}
    bases = _base_models(lora)
    return {_network(here.get(base.casefold(), ModelReference("hf", base))) for base in bases} or {None}


def _base_models(lora: LoraSettings) -> tuple[str, ...]:
    """Return the models that an adapter was made for, as its card says; nothing when it isn't on this machine."""
    folder = _folder(parse_reference(lora.model))
    with _UNREADABLE:
        return read_readme(folder).base_models if folder else ()
    return ()


def _folder(reference: ModelReference) -> Path | None:
    """Return where the small files of a model or an adapter are, though its weights may not be there yet."""
    return known(reference) if reference.scheme == "hf" else local_folder(reference)


def _is_other(network: Network | None, made_for: set[Network | None]) -> bool:
    return network is not None and None not in made_for and network not in made_for
