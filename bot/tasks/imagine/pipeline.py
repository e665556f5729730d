"""Make batches of pictures with any text-to-image pipeline that diffusers loads."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from bot.errors import JobCancelled, ModelUnavailable, OutOfMemory, UserError
from bot.hub.model_filter import ADAPTERS, ModelFilter
from bot.tasks.base import Answers, Context, Loaded, Pipeline, Result
from bot.tasks.describe.task import DescribeSettings
from bot.tasks.imagine.adapters import Adapter, find_adapter
from bot.tasks.imagine.captions import Captioner
from bot.tasks.imagine.family import is_text_to_image
from bot.tasks.imagine.notes import hints
from bot.tasks.imagine.parameters import Plan
from bot.tasks.imagine.png import Parameters, encode_png
from bot.tasks.imagine.renderer import Painter, Painting
from bot.tasks.imagine.task import ImagineRequest, ImagineResult, ImagineSettings, Picture


class ImaginePipeline(Pipeline):
    """Make batches of pictures."""

    model_filter = ModelFilter(
        "text-to-image pipelines of diffusers (StableDiffusionPipeline, FluxPipeline, …)",
        is_text_to_image,
        pipeline_tag="text-to-image",
    )

    def __init__(self, settings: ImagineSettings, describe: DescribeSettings | None = None) -> None:
        self._settings = settings
        self._captioner = describe and Captioner(describe)

    def run(self, requests: Sequence[ImagineRequest], context: Context) -> Iterator[Answers]:
        """Yield an ImagineResult for each request, or JobCancelled, when all pictures are done."""
        painter: Painter = context.load(requests[0].model, Painter)
        plan = self._plan(painter, requests[0])
        self._settings.check_size(plan.width, plan.height)
        painter.adapters.use(self._adapters(requests[0], context))
        started = time.monotonic()
        painting = painter.paint(requests, [self._seen(request) for request in requests], plan, context)
        seconds = time.monotonic() - started
        answers: dict[int, Result | Exception] = {}
        start = 0
        for index, request in enumerate(requests):
            if painting is None or context.cancelled(index):
                answers[index] = JobCancelled("Cancelled.")
            else:
                answers[index] = self._result(request, plan, painter, painting.part(start, request.count), seconds)
            start += request.count
        yield self._captioner.captioned(answers, context) if self._captioner else answers

    def save_memory(self, request: ImagineRequest, loaded: Loaded) -> bool:
        """Slice attention and tile the autoencoder of a model, unless that was done already."""
        painter: Painter | None = loaded(request.model)
        return painter is not None and painter.save_memory()

    def too_large(self, request: ImagineRequest, loaded: Loaded) -> UserError:
        """Name one picture instead of several, or a size: one that fitted before, else of half the pixels."""
        if request.count > 1:
            return OutOfMemory("There isn't enough memory for {count} pictures at once. Try one.", count=request.count)
        painter: Painter | None = loaded(request.model)
        size = painter.smaller(self._plan(painter, request)) if painter else None
        if size is None:
            return OutOfMemory("There isn't enough memory for this model's pictures here. Try another model.")
        return OutOfMemory(
            "There isn't enough memory for this size. Try {width}x{height}.", width=size[0], height=size[1]
        )

    def _plan(self, painter: Painter, request: ImagineRequest) -> Plan:
        return painter.planner.plan(request, self._settings.defaults_of(request.model))

    def _adapters(self, request: ImagineRequest, context: Context) -> dict[str, tuple[Adapter, float]]:
        """Return a request's adapters with their weights, fetched if need be."""
        return {
            lora.name: (self._adapter(self._settings.lora(lora).model, context), lora.weight) for lora in request.loras
        }

    def _adapter(self, reference: str, context: Context) -> Adapter:
        try:
            return context.load(reference, find_adapter, ADAPTERS)
        except ModelUnavailable as error:
            raise ModelUnavailable("This adapter isn't available on this server yet.", **error.values) from error

    def _seen(self, request: ImagineRequest) -> str:
        """Return the prompt that the model sees: with the words that the adapters were trained to hear."""
        words = [self._settings.lora(lora).words for lora in request.loras]
        missing = [word for word in words if word and word.casefold() not in request.prompt.casefold()]
        return ", ".join([request.prompt, *missing])

    def _result(
        self, request: ImagineRequest, plan: Plan, painter: Painter, painting: Painting, seconds: float
    ) -> ImagineResult:
        """Pack the pictures of one request, each with its parameters inside the file."""
        scale = int(painter.meta.get("shown_scale", 1))
        made: dict[str, Any] = {
            "model": painter.shown, "negative": request.negative, "width": plan.width, "height": plan.height,
            "steps": plan.steps, "guidance": plan.guidance if painter.family.scale else None,
            "scheduler": painting.scheduler, "loras": request.loras,
        }  # fmt: skip
        pictures = []
        for image, flagged, seed in zip(painting.images, painting.flagged, request.seeds, strict=True):
            png = encode_png(image, Parameters(prompt=self._seen(request), seed=seed, **made), scale=scale)
            pictures.append(Picture(png=png, seed=seed, withheld=bool(flagged)))
        notes = tuple(hints(request, plan, painter.family, painter.meta.get("knows", {})))
        return ImagineResult(prompt=request.prompt, pictures=tuple(pictures), seconds=seconds, notes=notes, **made)
