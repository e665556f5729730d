"""Put LoRA adapters on a pipeline, and take them off again: they are never fused into its weights."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.errors import BadInput, ModelUnavailable, one_line
from bot.hub.access import model_unavailable
from bot.hub.resolve import ModelFiles, weight_files
from bot.machine.device import Device, is_out_of_memory


@dataclass(frozen=True, slots=True)
class Adapter:
    """Say which file an adapter is in, and what people see of it."""

    path: Path
    shown: str


def find_adapter(files: ModelFiles, _device: Device) -> Adapter:
    """Return the adapter among a model's files; raise ModelUnavailable unless it is a single one."""
    paths = weight_files(files.reference, files.folder) if files.folder else []
    if len(paths) != 1:
        raise model_unavailable(files.reference, f"There are {len(paths)} adapters in it. Name one: …#FILE.safetensors")
    return Adapter(paths[0], files.shown)


class Adapters:
    """Hold the adapters of one pipeline: those of the last batch stay on it until a batch wants others, or none."""

    def __init__(self, pipe: Any, model: str) -> None:
        self._pipe = pipe
        self._model = model
        self._held: dict[str, Adapter] = {}

    def use(self, wanted: Mapping[str, tuple[Adapter, float]]) -> None:
        """Let exactly these adapters take effect, each at its weight; raise UserError when one doesn't fit."""
        adapters = {name: adapter for name, (adapter, _) in wanted.items()}
        if adapters != self._held:
            self._remove()
            for name, adapter in adapters.items():
                self._load(name, adapter)
        if wanted:
            self._pipe.set_adapters(list(wanted), [weight for _, weight in wanted.values()])

    def _load(self, name: str, adapter: Adapter) -> None:
        if not hasattr(self._pipe, "load_lora_weights"):
            raise takes_none(name, self._model)
        self._held[name] = adapter
        try:
            self._pipe.load_lora_weights(
                adapter.path.parent, weight_name=adapter.path.name, adapter_name=name, use_safetensors=True,
                local_files_only=True,
            )  # fmt: skip
        except Exception as error:
            self._remove()  # a part of it may be there
            if is_out_of_memory(error):
                raise
            raise unfit(name, self._model, f"{adapter.shown}: {one_line(error)}") from error
        if not any(name in held for held in self._pipe.get_list_adapters().values()):
            self._remove()
            raise unfit(name, self._model, f"{adapter.shown}: none of its weights belong to this model")

    def _remove(self) -> None:
        if not self._held:
            return
        self._held = {}
        unload = self._pipe.unload_lora_weights
        whole = "reset_to_overwritten_params"  # FLUX: adapters may widen layers
        unload(**({whole: True} if whole in inspect.signature(unload).parameters else {}))


def takes_none(name: str, model: str) -> BadInput:
    """Return what people read when a model, of whatever family, has no place for adapters."""
    return BadInput("{model} takes no adapters. Leave “{name}” out.", model=model, name=name)


def unfit(name: str, model: str, hint: str) -> ModelUnavailable:
    """Return what people read when an adapter is for another family of models; the `hint` is for the host."""
    sentence = "The adapter “{name}” doesn't fit {model}. Choose another adapter or another model."
    return ModelUnavailable(sentence, name=name, model=model, hint=hint)
