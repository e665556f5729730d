"""Train the judge: a small classifier that names a picture, or says that it shows nothing it knows.

It shares no weights with the generator and learns from glyphs under random backgrounds, sizes, turns,
blur, noise and colour changes. The last class is for what is *not* a good picture: mixtures of two
glyphs, cut-up ones and heavy blur, so that a blob is not given the nearest name.
"""

import argparse
import random
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter
from safetensors.torch import load_file, save_file
from torch import nn

from training.emoji import data
from training.emoji.vae import random_background

HELD_OUT_SEED = 900_001
DEFAULT_JUDGE = Path(__file__).with_name("judge.safetensors")


class Judge(nn.Module):
    """Classify pictures of any size, looked at in 48x48 px; 0.86 M weights."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        widths = (3, 32, 64, 128, 192)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        self.body = nn.Sequential(
            *layers, nn.Conv2d(192, 192, 3, padding=1), nn.BatchNorm2d(192), nn.ReLU(), nn.Flatten()
        )
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(192 * 9, classes))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return scores, shape (n, classes), of pictures in [-1, 1]."""
        small = nn.functional.interpolate(pictures, size=(48, 48), mode="area")
        scores: torch.Tensor = self.head(self.body(small))
        return scores


def augmented(glyph: Image.Image, rng: random.Random) -> Image.Image:
    """Draw a glyph turned, scaled, moved, recoloured a little, blurred or not, on a random background."""
    turned = glyph.rotate(rng.uniform(-12, 12), resample=Image.Resampling.BICUBIC, expand=True)
    shift = (rng.randint(-4, 4), rng.randint(-4, 4))
    image = data.render(turned, random_background(rng), rng.uniform(0.75, 1.0), shift)
    image = ImageEnhance.Color(image).enhance(rng.uniform(0.7, 1.3))
    image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.85, 1.15))
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.2))) if rng.random() < 0.5 else image


def spoiled(glyphs: list[Image.Image], rng: random.Random) -> Image.Image:
    """Make a picture that deserves no name: a mixture, a shuffled picture or a heavy blur."""
    first, second = (augmented(glyph, rng) for glyph in rng.sample(glyphs, 2))
    kind = rng.randrange(3)
    if kind == 0:
        return Image.blend(first, second, rng.uniform(0.4, 0.6))
    if kind == 1:
        return first.filter(ImageFilter.GaussianBlur(rng.uniform(5, 9)))
    return _shuffled(first, rng)


def _shuffled(image: Image.Image, rng: random.Random) -> Image.Image:
    half = image.width // 4
    boxes = [(x, y, x + half, y + half) for x in range(0, image.width, half) for y in range(0, image.height, half)]
    out, sources = image.copy(), rng.sample(boxes, len(boxes))
    for target, source in zip(boxes, sources, strict=True):
        out.paste(image.crop(source), target)
    return out


def batch(glyphs: list[Image.Image], rng: random.Random, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw ``count`` augmented pictures (with pixel noise) and their classes; one in ten is spoiled."""
    labels = [len(glyphs) if rng.random() < 0.1 else rng.randrange(len(glyphs)) for _ in range(count)]
    images = [spoiled(glyphs, rng) if i == len(glyphs) else augmented(glyphs[i], rng) for i in labels]
    pictures = data.to_tensor(images)
    noise = torch.from_numpy(np.random.default_rng(rng.randrange(2**32)).normal(size=pictures.shape)).float()
    return pictures + rng.uniform(0, 0.12) * noise, torch.tensor(labels)


def fit(judge: Judge, glyphs: list[Image.Image], args: argparse.Namespace) -> None:
    """Train for ``args.steps`` batches of 64."""
    rng = random.Random(args.seed)
    optimiser = torch.optim.AdamW(judge.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=args.steps)
    start = time.monotonic()
    for step in range(1, args.steps + 1):
        pictures, labels = batch(glyphs, rng, 64)
        loss = nn.functional.cross_entropy(judge(pictures), labels, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            print(f"{step} {loss.item():.3f} {time.monotonic() - start:.0f}s", flush=True)


@torch.no_grad()
def held_out(judge: Judge, glyphs: list[Image.Image], count: int = 2400) -> tuple[float, float]:
    """Return the accuracy on fresh augmentations of glyphs, and on fresh spoiled pictures."""
    rng = random.Random(HELD_OUT_SEED)
    pictures, labels = batch(glyphs, rng, count)
    right = torch.cat([judge(part).argmax(1) for part in pictures.split(200)]) == labels
    spoilt = labels == len(glyphs)
    return right[~spoilt].float().mean().item(), right[spoilt].float().mean().item()


def load_judge(path: Path, classes: int) -> Judge:
    """Read a trained judge, stored in float16."""
    judge = Judge(classes)
    judge.load_state_dict(load_file(path))
    return judge.eval()


def main() -> None:
    """Train the judge, state its accuracy on augmentations it has not seen, and save it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT_JUDGE)
    parser.add_argument("--font", type=Path, default=data.DEFAULT_FONT)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--seed", type=int, default=77)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    glyphs = list(data.load_images(args.font, data.read_table()).values())
    judge = Judge(len(glyphs) + 1).train()
    fit(judge, glyphs, args)
    save_file({name: weight.half() for name, weight in judge.state_dict().items()}, args.out)
    named, rejected = held_out(load_judge(args.out, len(glyphs) + 1), glyphs)
    print(f"fresh augmentations: {named:.1%} of glyphs named right, {rejected:.1%} of spoiled pictures refused")


if __name__ == "__main__":
    main()
