"""Write pictures as PNG files that say how they were made."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from typing import Any

from bot.tasks.imagine.loras import Lora


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Hold what makes a picture again. Sizes in pixels; `guidance` is None where the model takes none."""

    prompt: str
    negative: str
    steps: int
    guidance: float | None
    seed: int
    width: int
    height: int
    model: str
    scheduler: str
    loras: tuple[Lora, ...] = ()

    def as_text(self) -> str:
        """Return the form that other tools read: the `parameters` text of AUTOMATIC1111's web interface."""
        prompt = " ".join([self.prompt, *(f"<lora:{lora}>" for lora in self.loras)])
        negative = f"Negative prompt: {self.negative}\n" if self.negative else ""
        guidance = "" if self.guidance is None else f"CFG scale: {self.guidance:g}, "
        return (
            f"{prompt}\n{negative}Steps: {self.steps}, Sampler: {self.scheduler}, {guidance}"
            f"Seed: {self.seed}, Size: {self.width}x{self.height}, Model: {self.model}"
        )


def encode_png(image: Any, parameters: Parameters, *, scale: int = 1) -> bytes:
    """Return a PIL image as a PNG file with its parameters in text chunks, enlarged `scale` times."""
    from PIL import Image, PngImagePlugin

    if scale > 1:
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.LANCZOS)
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("parameters", parameters.as_text())
    chunks.add_itxt("hubcord", json.dumps(asdict(parameters), ensure_ascii=False))
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=chunks)
    return file.getvalue()
