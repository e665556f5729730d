"""Answer requests plausibly without any model."""

from __future__ import annotations

import io
from functools import singledispatch
from typing import Any

from bot.tasks.base import Request, Result
from bot.tasks.classify.task import ClassifyRequest, ClassifyResult, Label
from bot.tasks.describe.task import DescribeRequest, DescribeResult
from bot.tasks.detect.draw_boxes import Box
from bot.tasks.detect.task import DetectRequest, DetectResult
from bot.tasks.imagine.task import ImagineRequest, ImagineResult, Picture
from bot.tasks.sentiment.task import SentimentRequest, SentimentResult
from bot.tasks.translate.routes import PIVOT
from bot.tasks.translate.task import TranslateRequest, TranslateResult

SHOWN = "fake@1"
THINGS = (("dog", 0.9), ("person", 0.8), ("dog", 0.7), ("remote_control", 0.2))
LABELS = ("tabby cat", "tiger cat", "Egyptian Mau", "lynx", "remote control")


@singledispatch
def answer(request: Request) -> Result:
    """Return a result that a good model could give."""
    raise NotImplementedError(type(request).__name__)


@answer.register
def _(request: SentimentRequest) -> SentimentResult:
    good = "hate" not in request.text.lower()
    scores = {"positive": 0.9, "negative": 0.1} if good else {"negative": 0.8, "positive": 0.2}
    label = next(iter(scores))
    return SentimentResult(
        model=SHOWN, label=label, score=scores[label], scores=scores, truncated=len(request.text) > 2_000
    )


@answer.register
def _(request: ClassifyRequest) -> ClassifyResult:
    names = (request.labels or LABELS)[: request.top]
    labels = tuple(Label(label=name, score=0.5 / 2**k) for k, name in enumerate(names))
    return ClassifyResult(model=SHOWN, labels=labels, width=320, height=240, thumbnail=png(8, 8))


@answer.register
def _(request: DetectRequest) -> DetectResult:
    sure = [Box(label=name, score=score, left=1, top=2, right=3, bottom=4) for name, score in THINGS]
    boxes = tuple(box for box in sure if box.score >= request.confidence / 100)
    drawn = png(8, 8) if boxes else b""
    return DetectResult(model=SHOWN, boxes=boxes, found=len(boxes), width=320, height=240, drawn=drawn)


@answer.register
def _(request: DescribeRequest) -> DescribeResult:  # noqa: ARG001
    return DescribeResult(model=SHOWN, text="a *tabby* cat on a sofa", thumbnail=png(8, 8))


@answer.register
def _(request: ImagineRequest) -> ImagineResult:
    width, height = request.width or 64, request.height or 64
    seeds = range(request.seed, request.seed + request.count)
    return ImagineResult(
        model=SHOWN,
        pictures=tuple(Picture(png=png(8, 8), seed=seed) for seed in seeds),
        prompt=request.prompt,
        negative=request.negative,
        width=width,
        height=height,
        steps=request.steps or 4,
        guidance=7.5 if request.guidance is None else request.guidance,
        scheduler=request.scheduler or "Euler",
        loras=request.loras,
        seconds=1.25,
    )


@answer.register
def _(request: TranslateRequest) -> TranslateResult:
    route = request.routes[0]
    return TranslateResult(
        model=f"{SHOWN} → {SHOWN}" if route.then else SHOWN,
        text=f"[{request.to}] {request.text}",
        source=route.source,
        to=request.to,
        detected=request.detect,
        through=PIVOT if route.then else None,
    )


def png(width: int, height: int, *, noise: bool = False) -> bytes:
    """Return a PNG file; one of noise can hardly be compressed."""
    from PIL import Image

    image: Any = Image.effect_noise((width, height), 100) if noise else Image.new("RGB", (width, height), "teal")
    file = io.BytesIO()
    image.convert("RGB").save(file, "PNG")
    return file.getvalue()
