"""Put the parts together as a Hugging Face folder for ``AutoPipelineForText2Image.from_pretrained``.

UNet and autoencoder are stored in float16. The text encoder stays in float32: transformers loads it in
the type it is stored in while diffusers loads the others as float32, and a mixture fails with "mat1 and
mat2 must have the same dtype".
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline
from transformers import CLIPTokenizer

from training.emoji.data import COLOURS, SIZE, read_table
from training.emoji.train import NOISE, new_model

KEPT = ("README.md", "contact_sheet.png")


def knowledge(*, first_only: bool) -> dict[str, Any]:
    """Return what the bot tells people that the model can draw."""
    glyphs = [glyph for glyph in read_table() if glyph.first_name or not first_only]
    words = {word for glyph in glyphs for word in (glyph.name, *glyph.synonyms)}
    return {
        "what": f"{len(glyphs)} emoji on {len(COLOURS)} background colours",
        "names": [glyph.name for glyph in glyphs],
        "words": sorted(words),
        "colours": list(COLOURS),
    }


def manifest(*, first_only: bool) -> dict[str, Any]:
    """Return the content of ``hubcord.json``."""
    return {
        "version": "1",
        "task": "imagine",
        "defaults": {"steps": 20, "guidance": 3.0, "width": SIZE, "height": SIZE},
        "sizes": [f"{SIZE}x{SIZE}"],
        "shown_scale": 4,
        "knows": knowledge(first_only=first_only),
    }


def assemble(checkpoint: Path | None, teacher: Path, vae: Path, text: Path) -> StableDiffusionPipeline:
    """Build the pipeline from the running mean of a checkpoint, or around the first UNet."""
    model = new_model(teacher, text)
    if checkpoint:
        model.load(checkpoint)
        model.use_mean()
    scheduler = DPMSolverMultistepScheduler(num_train_timesteps=1000, timestep_spacing="trailing", **NOISE)
    return StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(vae, dtype=torch.float16).eval(),
        text_encoder=model.encoder.eval(),
        tokenizer=CLIPTokenizer.from_pretrained(text / "tokenizer"),
        unet=model.unet.half().eval(),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def replace_folder(new: Path, old: Path) -> None:
    """Move ``new`` to where ``old`` is, keeping the model card of ``old``."""
    for name in KEPT:
        if (old / name).exists():
            shutil.copy2(old / name, new / name)
    away = old.with_name(f".{old.name}.old")
    shutil.rmtree(away, ignore_errors=True)
    if old.exists():
        old.replace(away)
    new.replace(old)
    shutil.rmtree(away, ignore_errors=True)


def forget_paths(folder: Path) -> None:
    """Take the folders of this machine, from which the parts were loaded, out of their configurations."""
    for path in folder.rglob("*.json"):
        values = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(values, dict) and values.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Write the folder beside its place, then move it there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, help="of train.py; without it, the first UNet")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of the first pipeline")
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--first-only", action="store_true", help="announce the first pipeline's names only")
    parser.add_argument("--out", type=Path, default=Path("models/emoji-sd"))
    args = parser.parse_args()
    new = args.out.with_name(f".{args.out.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    assemble(args.checkpoint, args.teacher, args.vae, args.text).save_pretrained(new)
    forget_paths(new)
    (new / "hubcord.json").write_text(
        json.dumps(manifest(first_only=args.first_only), indent=1) + "\n", encoding="utf-8"
    )
    replace_folder(new, args.out)
    size = sum(path.stat().st_size for path in args.out.rglob("*") if path.is_file())
    print(f"{args.out}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
