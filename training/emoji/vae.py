"""Train the autoencoder on moved and tinted glyphs, or fine-tune one that exists.

The loss is that of the pixels (L1 and L2), of their gradients (for edges) and a very small KL term. Run
with ``--decoder-only`` to sharpen the decoder on exactly the pictures that the UNet learns: the encoder
stays as it is, so latents stay valid.
"""

import argparse
import colorsys
import math
import random
import time
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from PIL import Image

from training.emoji import data


def new_vae() -> AutoencoderKL:
    """Return an untrained autoencoder: 64x64x3 to 16x16x4, 0.77 M weights."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(24, 48, 64),
        latent_channels=4,
        norm_num_groups=8,
        sample_size=data.SIZE,
        mid_block_add_attention=False,
    )


def random_background(rng: random.Random) -> data.RGB:
    """Return one of the named colours, or, one time in three, any colour."""
    if rng.random() < 0.67:
        return rng.choice(list(data.COLOURS.values()))
    red, green, blue = colorsys.hsv_to_rgb(rng.random(), rng.random(), rng.random())
    return round(red * 255), round(green * 255), round(blue * 255)


def jittered(images: list[Image.Image], rng: random.Random, count: int) -> torch.Tensor:
    """Draw ``count`` random glyphs, moved and scaled a little."""
    shift = (rng.randint(-3, 3), rng.randint(-3, 3))
    batch = [
        data.render(rng.choice(images), random_background(rng), rng.uniform(0.8, 0.94), shift) for _ in range(count)
    ]
    return data.to_tensor(batch)


def gradient_loss(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Compare the differences between neighbouring pixels, in both directions."""
    return sum(((made.diff(dim=dim) - wanted.diff(dim=dim)).abs().mean() for dim in (2, 3)), torch.zeros(()))


def pixel_loss(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Add L1, L2 and gradient losses."""
    return (made - wanted).abs().mean() + 2 * (made - wanted).square().mean() + 0.3 * gradient_loss(made, wanted)


def learning_rate(peak: float, step: int, fraction: float) -> float:
    """Warm up for 30 steps, then follow a cosine in the ``fraction`` of the steps done."""
    return peak * min(1.0, (step + 1) / 30) * (0.5 * (1 + math.cos(math.pi * fraction)) + 0.01)


def full_loss(vae: AutoencoderKL, args: argparse.Namespace) -> Callable[[], torch.Tensor]:
    """Return what draws a batch of moved and tinted pictures and gives the loss of the whole autoencoder."""
    rng = random.Random(args.seed)
    images = list(data.load_images(args.font, data.read_table()).values())

    def loss() -> torch.Tensor:
        pictures = jittered(images, rng, args.batch)
        posterior = vae.encode(pictures).latent_dist
        return pixel_loss(vae.decode(posterior.sample()).sample, pictures) + 1e-6 * posterior.kl().mean()

    return loss


def decoder_loss(vae: AutoencoderKL, args: argparse.Namespace) -> Callable[[], torch.Tensor]:
    """Return what draws a batch of the exact pictures and gives the loss of decoding them, disturbed."""
    rng = random.Random(args.seed)
    pictures = data.grid(args.font, data.read_table()).flatten(0, 1)
    latents = encode(vae, pictures)

    def loss() -> torch.Tensor:
        chosen = rng.sample(range(len(pictures)), args.batch)
        disturbed = latents[chosen] + args.noise * torch.randn_like(latents[chosen])
        return pixel_loss(vae.decode(disturbed).sample, pictures[chosen])

    return loss


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: torch.Tensor) -> torch.Tensor:
    """Return the unscaled means of the latents."""
    parts = torch.split(pictures, 60)
    return torch.cat([vae.encode(part).latent_dist.mean for part in parts])


def trainable(vae: AutoencoderKL, *, decoder_only: bool) -> list[torch.Tensor]:
    """Return the weights to train; with ``decoder_only`` the encoder is frozen."""
    if decoder_only:
        vae.encoder.requires_grad_(requires_grad=False)
        vae.quant_conv.requires_grad_(requires_grad=False)
    return [weight for weight in vae.parameters() if weight.requires_grad]


def fit(vae: AutoencoderKL, args: argparse.Namespace) -> None:
    """Train for ``args.steps`` batches, saving every 100."""
    weights = trainable(vae, decoder_only=args.decoder_only)
    next_loss = decoder_loss(vae, args) if args.decoder_only else full_loss(vae, args)
    optimiser = torch.optim.AdamW(weights, lr=args.lr, weight_decay=0.0)
    start = time.monotonic()
    for step in range(1, args.steps + 1):
        optimiser.param_groups[0]["lr"] = learning_rate(args.lr, step, step / args.steps)
        loss = next_loss()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        if step % 25 == 0:
            print(f"{step} {loss.item():.4f} {time.monotonic() - start:.0f}s", flush=True)
        if step % 100 == 0:
            vae.save_pretrained(args.out)


@torch.no_grad()
def measure(vae: AutoencoderKL, font: Path) -> tuple[float, float, float]:
    """Return mean and lowest PSNR (dB) over the exact pictures, and the standard deviation of the latents."""
    pictures = data.grid(font, data.read_table()).flatten(0, 1)
    latents = encode(vae, pictures)
    made = torch.cat([vae.decode(part).sample.clamp(-1, 1) for part in torch.split(latents, 60)])
    psnr = -10 * torch.log10((made - pictures).square().mean((1, 2, 3)) / 4)
    return psnr.mean().item(), psnr.min().item(), latents.std().item()


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--init", type=Path, help="folder of an autoencoder to start from")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--font", type=Path, default=data.DEFAULT_FONT)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--noise", type=float, default=0.12, help="added to the latents with --decoder-only")
    parser.add_argument("--decoder-only", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Train, set the scaling factor (unless only the decoder changed) and save."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    vae = AutoencoderKL.from_pretrained(args.init, dtype=torch.float32) if args.init else new_vae()
    fit(vae.train(), args)
    mean, lowest, deviation = measure(vae.eval(), args.font)
    if not args.decoder_only:
        vae.register_to_config(scaling_factor=1 / deviation)
    vae.save_pretrained(args.out)
    print(f"PSNR mean {mean:.2f} dB, lowest {lowest:.2f} dB, latent deviation {deviation:.3f}")


if __name__ == "__main__":
    main()
