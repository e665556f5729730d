"""Teach the first pipeline's UNet (and, slowly, the new text encoder) to draw each glyph on each background.

The 720 pictures are encoded once by the first pipeline's encoder. The UNet begins with the weights that draw 40
names, so it knows already how words become shapes; new names come twice as often as old ones. Noisy time steps,
where it is decided what is drawn, come more often, too. A run stops at ``--steps`` or on SIGTERM, and a later
one goes on from its checkpoint.
"""

import argparse
import math
import random
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from training.emoji import data
from training.emoji.latents import Latents, encode
from training.emoji.text import tokenize

NOISE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
}


@dataclass
class Model:
    """Hold what is trained, its running mean and the optimiser."""

    unet: UNet2DConditionModel
    encoder: CLIPTextModel
    mean: list[torch.Tensor]
    optimiser: torch.optim.AdamW
    step: int = 0

    @property
    def weights(self) -> list[torch.Tensor]:
        """Return the weights of the UNet, then those of the text encoder."""
        return [*self.unet.parameters(), *self.encoder.parameters()]

    def save(self, path: Path) -> None:
        """Write the checkpoint beside ``path`` and move it there."""
        state = {
            "unet": self.unet.state_dict(),
            "encoder": self.encoder.state_dict(),
            "mean": self.mean,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        part = path.with_suffix(".part")
        torch.save(state, part)
        part.replace(path)

    def load(self, path: Path) -> None:
        """Read a checkpoint."""
        state = torch.load(path, weights_only=True)
        self.unet.load_state_dict(state["unet"])
        self.encoder.load_state_dict(state["encoder"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.mean, self.step = state["mean"], state["step"]

    @torch.no_grad()
    def update_mean(self) -> None:
        """Move the running mean towards the weights."""
        decay = min(0.995, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self.mean, self.weights, 1 - decay)

    @torch.no_grad()
    def use_mean(self) -> None:
        """Replace the weights by their running mean."""
        for weight, mean in zip(self.weights, self.mean, strict=True):
            weight.copy_(mean)


def new_model(teacher: Path, text: Path) -> Model:
    """Return the teacher's UNet beside the text encoder of ``text``, which learns more slowly."""
    unet = UNet2DConditionModel.from_pretrained(teacher / "unet", dtype=torch.float32).train()
    encoder = CLIPTextModel.from_pretrained(text / "text_encoder", dtype=torch.float32).train()
    groups = [
        {"params": list(unet.parameters()), "factor": 1.0},
        {"params": list(encoder.parameters()), "factor": 0.3},
    ]
    mean = [weight.detach().clone() for weight in (*unet.parameters(), *encoder.parameters())]
    return Model(unet, encoder, mean, torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=1e-3))


def noisy_times(count: int) -> torch.Tensor:
    """Draw time steps in 0..999 with a density that grows towards noise."""
    return (1000 * torch.rand(count) ** 0.6).long().clamp(max=999)


def rate(args: argparse.Namespace, step: int) -> float:
    """Warm up for 100 steps, stay, and follow a cosine to 2 % over the last ``args.decay`` steps."""
    warm = min(1.0, (step + 1) / 100)
    left = min(1.0, (args.steps - step) / args.decay) if args.decay else 1.0
    return float(args.lr * warm * (0.51 - 0.49 * math.cos(math.pi * left)))


def train_step(
    model: Model, latents: Latents, tokenizer: CLIPTokenizer, noise: DDPMScheduler, args: argparse.Namespace
) -> float:
    """Run one batch, whose randomness depends only on the seed and the step; return its loss."""
    torch.manual_seed(args.seed * 1_000_003 + model.step)
    pictures, texts = latents.batch(args.batch, random.Random(args.seed * 1_000_003 + model.step))
    times, eps = noisy_times(len(pictures)), torch.randn_like(pictures)
    noised = noise.add_noise(pictures, eps, times).contiguous(memory_format=torch.channels_last)
    made = model.unet(noised, times, model.encoder(tokenize(tokenizer, texts))[0]).sample
    loss = (made - noise.get_velocity(pictures, eps, times)).square().mean()
    for group in model.optimiser.param_groups:
        group["lr"] = rate(args, model.step) * group["factor"]
    model.optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.weights, 1.0)
    model.optimiser.step()
    model.step += 1
    model.update_mean()
    return float(loss.item())


def fit(model: Model, latents: Latents, tokenizer: CLIPTokenizer, args: argparse.Namespace) -> None:
    """Train up to step ``args.steps``, with a checkpoint every two minutes and on SIGTERM."""
    noise = DDPMScheduler(num_train_timesteps=1000, **NOISE)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    start = saved = time.monotonic()
    mean_loss = 1.0
    while model.step < args.steps and not stop.is_set():
        mean_loss += 0.02 * (train_step(model, latents, tokenizer, noise, args) - mean_loss)
        now = time.monotonic()
        if model.step % 25 == 0:
            print(f"{model.step} {mean_loss:.4f} {now - start:.0f}s", flush=True)
        if now - saved > 120:
            model.save(args.checkpoint)
            saved = now
    model.save(args.checkpoint)


def main() -> None:
    """Train from the checkpoint if there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", type=Path, required=True, help="folder of the first pipeline")
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--font", type=Path, default=data.DEFAULT_FONT)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--decay", type=int, default=2000, help="steps of falling learning rate at the end")
    parser.add_argument("--new-weight", type=float, default=2.0, help="0: only names of the first pipeline")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    model = new_model(args.teacher, args.text)
    model.unet.to(memory_format=torch.channels_last)
    if args.checkpoint.exists():
        model.load(args.checkpoint)
    print(f"UNet {sum(weight.numel() for weight in model.unet.parameters()) / 1e6:.2f} M weights", flush=True)
    fit(
        model,
        encode(args.teacher / "vae", args.font, args.new_weight),
        CLIPTokenizer.from_pretrained(args.text / "tokenizer"),
        args,
    )


if __name__ == "__main__":
    main()
