"""Encode every picture once, and draw batches of latents with fresh captions."""

import random
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from training.emoji import data
from training.emoji.captions import caption, disturbed

EMPTY_CAPTIONS = 0.1
PLAIN_WHITE = 0.15


@dataclass(frozen=True)
class Latents:
    """Hold the encoded pictures, shape (glyphs, colours, 4, 16, 16), and draw batches of them."""

    pictures: torch.Tensor
    glyphs: list[data.Glyph]
    new_weight: float = 2.0

    @property
    def weights(self) -> list[float]:
        """Return how often each glyph comes: those new to the first pipeline ``new_weight`` times as often."""
        return [1.0 if glyph.first_name else self.new_weight for glyph in self.glyphs]

    def batch(self, size: int, rng: random.Random) -> tuple[torch.Tensor, list[str]]:
        """Return ``size`` pictures with their captions, some of them empty."""
        names, pictures, texts = list(data.COLOURS), [], []
        for _ in range(size):
            thing = rng.choices(range(len(self.glyphs)), self.weights)[0]
            colour = 0 if rng.random() < PLAIN_WHITE else rng.randrange(len(names))
            pictures.append(self.pictures[thing, colour])
            empty = rng.random() < EMPTY_CAPTIONS
            texts.append("" if empty else disturbed(caption(self.glyphs[thing], names[colour], rng), rng))
        return torch.stack(pictures), texts


@torch.no_grad()
def encode(folder: Path, font: Path, new_weight: float) -> Latents:
    """Encode the grid of glyphs and backgrounds, scaled to unit deviation."""
    vae = AutoencoderKL.from_pretrained(folder, dtype=torch.float32).eval()
    glyphs = data.read_table()
    rows = [vae.encode(row).latent_dist.mean * vae.config.scaling_factor for row in data.grid(font, glyphs)]
    return Latents(torch.stack(rows), glyphs, new_weight)
