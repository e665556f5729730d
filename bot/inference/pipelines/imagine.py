"""Make pictures from a prompt with any text-to-image pipeline that diffusers loads."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from bot.errors import BadInput, JobCancelled, OutOfMemory, UserError
from bot.inference.accepts import Accepts
from bot.inference.class_names import mapped_classes
from bot.inference.device import Device
from bot.inference.hub import ModelFiles
from bot.inference.pictures import Parameters, encode_png
from bot.inference.pipeline import Answers, Context, Loaded, Pipeline, Request, Result
from bot.inference.settings import ModelSettings, References

MAX_PROMPT_CHARS = 1_000
MAX_SEED = 2**32 - 1


def _is_text_to_image(pipeline: str) -> bool:
    return pipeline in mapped_classes("diffusers", "pipelines/auto_pipeline.py", "AUTO_TEXT2IMAGE_PIPELINES_MAPPING")


_ACCEPTS = Accepts(
    "text-to-image pipelines of diffusers (StableDiffusionPipeline, FluxPipeline, …)",
    _is_text_to_image,
    tag="text-to-image",
)
_UNIT_PIXELS = 512 * 512
_DEFAULT_STEPS = 50
_SMALLER = 0.7
"""Of each side, for about half the pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagineRequest(Request):
    """Ask for `count` pictures; picture k is made with `seed` + k. None leaves a value to the model."""

    gives_way: ClassVar[bool] = True

    prompt: str
    seed: int
    negative: str = ""
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    count: int = 1

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise BadInput("There is no prompt. Say what the picture should show.")
        if max(len(self.prompt), len(self.negative)) > MAX_PROMPT_CHARS:
            raise BadInput("This prompt is too long. Use at most {most} characters.", most=MAX_PROMPT_CHARS)
        if not 0 <= self.seed <= MAX_SEED:
            raise BadInput("A seed is a number from 0 to {most}.", most=MAX_SEED)
        if self.count < 1 or (self.steps is not None and self.steps < 1):
            raise BadInput("Ask for at least one picture and one step.")
        if self.guidance is not None and not 0 <= self.guidance <= 50:
            raise BadInput("Guidance is a number from 0 to 50.")

    @property
    def batch_key(self) -> tuple[Any, ...]:
        """Say that pictures of one model, size, step count and guidance may be made together."""
        return (self.model, self.width, self.height, self.steps, self.guidance)

    @property
    def rows(self) -> int:
        """Return how many pictures this job adds to a batch."""
        return self.count

    @property
    def cost_keys(self) -> tuple[str, ...]:
        """Name model, size and steps, then model and size alone: what seconds a step of a picture depend on."""
        sized = f"{self.model} {self.width}x{self.height}"
        return (f"{sized} {self.steps} steps", sized)

    @property
    def work(self) -> float:
        """Return the steps of all pictures."""
        return float(self.count * (self.steps or _DEFAULT_STEPS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Hold one picture as a PNG file and the seed that makes it again. `withheld`: by the model's safety check."""

    png: bytes
    seed: int
    withheld: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagineResult(Result):
    """Hold the pictures and what they were made with.

    `seconds` is how long the batch took; `note` tells people what this model is good for.
    """

    pictures: tuple[Picture, ...]
    prompt: str
    negative: str
    width: int
    height: int
    steps: int
    guidance: float
    seconds: float
    note: str = ""


class ImagineSettings(ModelSettings):
    """Set up /imagine. A picture may have `max_pixels`, and a job `max_count` pictures of `max_steps`."""

    models: References = ("bundled:emoji-sd",)
    max_rows: int = Field(default=4, ge=1, le=64)
    max_steps: int = Field(default=100, ge=1, le=1000)
    max_count: int = Field(default=4, ge=1, le=10)
    max_pixels: int = Field(default=1024 * 1024, ge=64 * 64)

    def check(self, request: Any) -> None:
        """Raise BadInput when the host's limits don't allow this request."""
        if request.steps is not None and request.steps > self.max_steps:
            raise BadInput("Use at most {most} steps.", most=self.max_steps)
        if request.count > self.max_count:
            raise BadInput("Ask for at most {most} pictures at a time.", most=self.max_count)
        if request.width and request.height and request.width * request.height > self.max_pixels:
            raise BadInput("This size is too large. Use at most {most} pixels in all.", most=self.max_pixels)


def read_size(text: str) -> tuple[int, int]:
    """Return width and height of a size like `512x768`, in pixels; raise BadInput."""
    match = re.fullmatch(r"\s*(\d{1,5})\s*[x×X*]\s*(\d{1,5})\s*", text)
    if match is None:
        raise BadInput("“{text}” is no size. Write width and height like 512x768.", text=text[:20])
    width, height = int(match[1]), int(match[2])
    if min(width, height) < 64 or width % 8 or height % 8:
        raise BadInput("Width and height must be at least 64 and divisible by 8.")
    return width, height


class ImaginePipeline(Pipeline):
    """Make batches of pictures."""

    accepts = _ACCEPTS

    def __init__(self, settings: ImagineSettings) -> None:
        self._settings = settings

    def run(self, requests: Sequence[ImagineRequest], context: Context) -> Iterator[Answers]:
        """Yield an ImagineResult for each request, or JobCancelled, when all pictures are done."""
        painter: Painter = context.load(requests[0].model, Painter)
        plan = painter.plan(requests[0])
        if plan.width * plan.height > self._settings.max_pixels:
            raise BadInput("This size is too large. Use at most {most} pixels in all.", most=self._settings.max_pixels)
        started = time.monotonic()
        images, flagged = painter.paint(requests, plan, context)
        seconds = time.monotonic() - started
        answers: dict[int, Result | Exception] = {}
        start = 0
        for index, request in enumerate(requests):
            end = start + request.count
            if images is None or context.cancelled(index):
                answers[index] = JobCancelled("Cancelled.")
            else:
                answers[index] = painter.result(request, plan, images[start:end], flagged[start:end], seconds)
            start = end
        yield answers

    def save_memory(self, request: ImagineRequest, loaded: Loaded) -> bool:
        """Slice attention and tile the autoencoder of a model, unless that was done already."""
        painter: Painter | None = loaded(request.model)
        return painter is not None and painter.save_memory()

    def too_large(self, request: ImagineRequest, loaded: Loaded) -> UserError:
        """Name one picture instead of several, or a size: one that fitted before, else of half the pixels."""
        if request.count > 1:
            return OutOfMemory("There isn't enough memory for {count} pictures at once. Try one.", count=request.count)
        painter: Painter | None = loaded(request.model)
        size = painter.smaller(painter.plan(request)) if painter else None
        if size is None:
            return OutOfMemory("There isn't enough memory for this model's pictures here. Try another model.")
        return OutOfMemory(
            "There isn't enough memory for this size. Try {width}x{height}.", width=size[0], height=size[1]
        )


@dataclass(frozen=True, slots=True)
class _Plan:
    """Hold what the request left to the model, filled in. Sizes in pixels."""

    width: int
    height: int
    steps: int
    guidance: float


class Painter:
    """Hold a text-to-image pipeline."""

    def __init__(self, files: ModelFiles, device: Device) -> None:
        from diffusers import AutoPipelineForText2Image
        from diffusers.utils import logging as diffusers_logging

        diffusers_logging.disable_progress_bar()
        self.pipe = AutoPipelineForText2Image.from_pretrained(
            files.folder, torch_dtype=device.dtype, use_safetensors=True
        )
        self.pipe.to(device.name)
        self.pipe.set_progress_bar_config(disable=True)
        self._shown = files.shown
        self._meta = files.meta
        self._saving = False
        self._fitted: set[tuple[int, int]] = set()
        self._accepts = inspect.signature(self.pipe.__call__).parameters

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

    def smaller(self, plan: _Plan) -> tuple[int, int] | None:
        """Return the largest size that fitted before and is smaller, else one of half the pixels, if there is one."""
        fitted = [(width, height) for width, height in self._fitted if width * height < plan.width * plan.height]
        if fitted:
            return max(fitted, key=lambda size: size[0] * size[1])
        width, height = (int(side * _SMALLER) // 8 * 8 for side in (plan.width, plan.height))
        sizes = self._meta.get("sizes")
        return None if min(width, height) < 64 or (sizes and f"{width}x{height}" not in sizes) else (width, height)

    def plan(self, request: ImagineRequest) -> _Plan:
        """Fill in the model's own defaults; raise BadInput for a size that it can't make."""
        defaults = self._meta.get("defaults", {})
        width = request.width or defaults.get("width") or self._native_pixels()
        height = request.height or defaults.get("height") or self._native_pixels()
        sizes = self._meta.get("sizes")
        if sizes and f"{width}x{height}" not in sizes:
            raise BadInput("{model} makes pictures of {sizes} pixels only.", model=self._shown, sizes=", ".join(sizes))
        steps = request.steps or defaults.get("steps") or self._default("num_inference_steps", _DEFAULT_STEPS)
        guidance = request.guidance
        if guidance is None:
            guidance = defaults.get("guidance", self._default("guidance_scale", 7.5))
        return _Plan(width, height, int(steps), float(guidance))

    def paint(
        self, requests: Sequence[ImagineRequest], plan: _Plan, context: Context
    ) -> tuple[list[Any] | None, list[bool]]:
        """Make all pictures of a batch; return None when every job of it was stopped.

        One CPU generator for each picture, so that each can be made again alone and on another device
        (huggingface/diffusers#6233).
        """
        import torch

        def on_step(pipe: Any, step: int, _timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
            for index in range(len(requests)):
                context.progress(index, step + 1, plan.steps)
            context.give_way()
            if all(map(context.cancelled, range(len(requests)))):
                pipe._interrupt = True  # noqa: SLF001 - diffusers' own way to stop (huggingface/diffusers#5867)
            return values

        if all(map(context.cancelled, range(len(requests)))):
            return None, []
        generators = [torch.Generator("cpu").manual_seed(seed) for _, seed in _rows(requests)]
        with torch.inference_mode():
            output = self.pipe(**self._arguments(requests, plan), generator=generators, callback_on_step_end=on_step)
        self._fitted.add((plan.width, plan.height))
        flagged = getattr(output, "nsfw_content_detected", None) or [False] * len(generators)
        return output.images, flagged

    def result(
        self, request: ImagineRequest, plan: _Plan, images: Sequence[Any], flagged: list[bool], seconds: float
    ) -> ImagineResult:
        """Pack the pictures of one request, each with its parameters inside the file."""
        scheduler = type(self.pipe.scheduler).__name__
        pictures = []
        for k, image in enumerate(images):
            parameters = Parameters(
                prompt=request.prompt, negative=request.negative, steps=plan.steps, guidance=plan.guidance,
                seed=(request.seed + k) % (MAX_SEED + 1), width=plan.width, height=plan.height,
                model=self._shown, scheduler=scheduler,
            )  # fmt: skip
            png = encode_png(image, parameters, scale=int(self._meta.get("shown_scale", 1)))
            pictures.append(Picture(png=png, seed=parameters.seed, withheld=bool(flagged[k])))
        return ImagineResult(
            model=self._shown, pictures=tuple(pictures), prompt=request.prompt, negative=request.negative,
            width=plan.width, height=plan.height, steps=plan.steps, guidance=plan.guidance,
            seconds=seconds, note=hint_of_words(self._meta.get("knows", {}), request.prompt),
        )  # fmt: skip

    def _arguments(self, requests: Sequence[ImagineRequest], plan: _Plan) -> dict[str, Any]:
        rows = [request for request, _ in _rows(requests)]
        arguments = {
            "prompt": [row.prompt for row in rows],
            "negative_prompt": [row.negative for row in rows],
            "width": plan.width,
            "height": plan.height,
            "num_inference_steps": plan.steps,
            "guidance_scale": plan.guidance,
        }
        return {name: value for name, value in arguments.items() if name in self._accepts}

    def _default(self, name: str, otherwise: float) -> float:
        value = self._accepts[name].default if name in self._accepts else otherwise
        return value if isinstance(value, int | float) else otherwise

    def _native_pixels(self) -> int:
        core = getattr(self.pipe, "unet", None) or getattr(self.pipe, "transformer", None)
        sample = getattr(getattr(core, "config", None), "sample_size", None) or 64
        return int(sample) * int(getattr(self.pipe, "vae_scale_factor", 8))


def _rows(requests: Sequence[ImagineRequest]) -> Iterator[tuple[ImagineRequest, int]]:
    """Yield each picture's request and seed."""
    for request in requests:
        for k in range(request.count):
            yield request, (request.seed + k) % (MAX_SEED + 1)


def hint_of_words(knows: Mapping[str, Any], prompt: str) -> str:
    """Return a hint of what a small model can draw when the prompt has no word it knows, else nothing."""
    words: list[str] = knows.get("words", [])
    text = " " + " ".join(re.findall(r"[a-z0-9]+", prompt.lower())) + " "
    if not words or any(f" {word} " in text or f" {word}s " in text for word in words):
        return ""
    names: list[str] = knows.get("names", words)
    few = ", ".join(names[:: max(1, len(names) // 8)][:8])
    return f"This small model only knows {knows.get('what', 'some things')}, such as: {few}."
