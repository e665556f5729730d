"""Make pictures with a text-to-image pipeline of diffusers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.hub.resolve import ModelFiles
from bot.machine.device import Device
from bot.tasks.base import Context
from bot.tasks.imagine.adapters import Adapters
from bot.tasks.imagine.family import read_family
from bot.tasks.imagine.parameters import Plan, Planner
from bot.tasks.imagine.schedulers import scheduled

if TYPE_CHECKING:
    from bot.tasks.imagine.task import ImagineRequest


@dataclass(frozen=True, slots=True)
class Painting:
    """Hold the images of a batch, in order, which of them were flagged, and the scheduler's name."""

    images: Sequence[Any]
    flagged: Sequence[bool]
    scheduler: str

    def part(self, start: int, count: int) -> Painting:
        """Return some of the images."""
        end = start + count
        return replace(self, images=self.images[start:end], flagged=self.flagged[start:end])


class _Stopped(Exception):
    """End a pipeline in the middle: every job of its batch was stopped."""


class Painter:
    """Hold a text-to-image pipeline."""

    def __init__(self, files: ModelFiles, device: Device) -> None:
        from diffusers import AutoPipelineForText2Image
        from diffusers.utils import logging as diffusers_logging

        diffusers_logging.disable_progress_bar()
        folder = Path(files.folder or "")  # every form that is accepted has one
        self.family = read_family(folder)
        self.pipe = AutoPipelineForText2Image.from_pretrained(
            folder, torch_dtype=_dtype(files, device), use_safetensors=True
        )
        self.pipe.to(device.name)
        self.pipe.set_progress_bar_config(disable=True)
        self.shown, self.meta = files.shown, files.meta
        self.planner = Planner(self.family, files.meta, shown=files.shown, multiple=_multiple(self.pipe))
        self.adapters = Adapters(self.pipe, files.shown)
        self._saving = False
        self._fitted: set[tuple[int, int]] = set()

    @property
    def components(self) -> Mapping[str, Any]:
        """Return the parts of the pipeline, so that their memory can be measured."""
        parts: Mapping[str, Any] = self.pipe.components
        return parts

    def save_memory(self) -> bool:
        """Trade time for memory from now on; say whether that wasn't done before."""
        if self._saving:
            return False
        self._saving = True
        for part, save in (("vae", "enable_slicing"), ("vae", "enable_tiling"), ("", "enable_attention_slicing")):
            target = getattr(self.pipe, part, None) if part else self.pipe
            getattr(target, save, lambda: None)()
        return True

    def smaller(self, plan: Plan) -> tuple[int, int] | None:
        """Return the largest size that fitted before and is smaller, else one of half the pixels, if there is one."""
        fitted = [(width, height) for width, height in self._fitted if width * height < plan.width * plan.height]
        return max(fitted, key=lambda size: size[0] * size[1]) if fitted else self.planner.smaller(plan)

    def paint(
        self, requests: Sequence[ImagineRequest], prompts: Sequence[str], plan: Plan, context: Context
    ) -> Painting | None:
        """Make all pictures of a batch, of one prompt for each request; return None when every job of it was stopped.

        One CPU generator for each picture, so that each can be made again alone and on another device
        (huggingface/diffusers#6233).
        """
        import torch

        generators = [torch.Generator("cpu").manual_seed(seed) for request in requests for seed in request.seeds]
        arguments = {**self._arguments(requests, prompts, plan), "generator": generators}
        with scheduled(self.pipe, plan.scheduler, self.shown) as scheduler, torch.inference_mode():
            try:
                self._look_around(context, len(requests))
                output = self.pipe(**arguments, **self._callback(context, len(requests), plan))
            except _Stopped:
                return None
        self._fitted.add((plan.width, plan.height))
        flagged = getattr(output, "nsfw_content_detected", None) or [False] * len(generators)
        return Painting(output.images, flagged, scheduler)

    def _arguments(self, requests: Sequence[ImagineRequest], prompts: Sequence[str], plan: Plan) -> dict[str, Any]:
        """Return the pipeline's arguments, without those that its family doesn't take."""
        counts = [request.count for request in requests]
        arguments = {
            "prompt": _repeated(prompts, counts),
            "width": plan.width,
            "height": plan.height,
            "num_inference_steps": plan.steps,
            self.family.scale: plan.guidance,
        }
        if plan.is_negative_used:
            arguments["negative_prompt"] = _repeated([request.negative for request in requests], counts)
        return {name: value for name, value in arguments.items() if name in self.family.options}

    def _callback(self, context: Context, jobs: int, plan: Plan) -> dict[str, Any]:
        """Return what makes the pipeline call back after each step; older ones (PixArt) do it in a way of their own."""

        def after(step: int) -> None:
            rounds = len(getattr(self.pipe.scheduler, "timesteps", ())) or plan.steps  # PNDM and Heun take more
            done = min(math.ceil((step + 1) * plan.steps / rounds), plan.steps)
            for index in range(jobs):
                context.progress(index, done, plan.steps)
            context.yield_to_short_jobs()
            self._look_around(context, jobs)

        def on_step_end(_pipe: Any, step: int, _timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
            after(step)
            return values

        def callback(step: int, *_: Any) -> None:
            after(step)

        if "callback_on_step_end" in self.family.options:
            return {"callback_on_step_end": on_step_end}
        return {"callback": callback, "callback_steps": 1} if "callback" in self.family.options else {}

    def _look_around(self, context: Context, jobs: int) -> None:
        """Stop when nobody wants the pictures any more. Not every pipeline heeds diffusers' own `_interrupt`."""
        if all(map(context.cancelled, range(jobs))):
            raise _Stopped


def _dtype(files: ModelFiles, device: Device) -> Any:
    """Return the dtype to load in: transformers and their T5 encoders were trained in bf16 and overflow in fp16."""
    wide = device.is_cuda and device.precision == "auto" and "transformer" in files.config
    return (replace(device, precision="bf16") if wide else device).dtype


def _multiple(pipe: Any) -> int:
    """Return what the sides of a picture are multiples of: a latent's pixels, and those of a transformer's patch."""
    latent = int(getattr(pipe, "vae_scale_factor", 8))
    config = getattr(getattr(pipe, "image_processor", None), "config", None)
    packed = int(getattr(config, "vae_scale_factor", latent))
    patch = getattr(getattr(getattr(pipe, "transformer", None), "config", None), "patch_size", None)
    return max(packed, latent * (patch if isinstance(patch, int) else 1))


def _repeated(texts: Sequence[str], counts: Sequence[int]) -> list[str]:
    return [text for text, count in zip(texts, counts, strict=True) for _ in range(count)]
