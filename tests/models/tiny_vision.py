"""Make tiny models for pictures with random weights in hub format: detectors, captioners, matchers of texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "dog", "red", "car", "photo", "of", "this", "is"]
_SIDE = {"height": 32, "width": 32}
_LAYERS: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
_VISION = _LAYERS | {"image_size": 32, "patch_size": 8}
_CHAT = (
    "{% for message in messages %}USER: {% for part in message.content %}"
    "{% if part.type == 'image' %}<image> {% else %}{{ part.text }} {% endif %}{% endfor %}{% endfor %}ASSISTANT: "
)


def tiny_yolos(folder: Path) -> Path:
    """Write a YOLOS that finds 20 cats and dogs wherever it looks."""
    import torch
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessor

    torch.manual_seed(2)
    labels = {0: "cat", 1: "dog"}
    config = YolosConfig(
        **(_LAYERS | {"image_size": [32, 32]}), patch_size=8, num_detection_tokens=20, initializer_range=0.5,
        id2label=labels, label2id={name: i for i, name in labels.items()},
    )  # fmt: skip
    model = YolosForObjectDetection(config)
    torch.nn.init.normal_(model.vit.embeddings.detection_tokens)  # else all of them find the same
    model.save_pretrained(folder)
    YolosImageProcessor(size={"shortest_edge": 32, "longest_edge": 64}).save_pretrained(folder)
    return folder


def tiny_detr(folder: Path) -> Path:
    """Write a DETR on a small ResNet that finds 10 things."""
    import torch
    from transformers import DetrConfig, DetrForObjectDetection, DetrImageProcessor, ResNetConfig

    torch.manual_seed(0)
    backbone = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 16], depths=[1, 1, 1, 1], layer_type="basic", out_features=["stage4"]
    )
    config = DetrConfig(
        backbone_config=backbone, use_timm_backbone=False, d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=10,
        init_std=1.0, id2label={0: "person", 1: "bus"}, label2id={"person": 0, "bus": 1},
    )  # fmt: skip
    DetrForObjectDetection(config).save_pretrained(folder)
    DetrImageProcessor(size={"shortest_edge": 64, "longest_edge": 96}).save_pretrained(folder)
    return folder


def tiny_git(folder: Path) -> Path:
    """Write a GIT that says some words about a picture."""
    import torch
    from transformers import CLIPImageProcessor, GitConfig, GitForCausalLM

    torch.manual_seed(1)
    _write_tokenizer(folder)
    config = GitConfig(
        vision_config=_VISION, vocab_size=len(WORDS), **_LAYERS, max_position_embeddings=128, bos_token_id=2,
        eos_token_id=3, pad_token_id=0, initializer_range=1.0,
    )  # fmt: skip
    GitForCausalLM(config).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=_SIDE).save_pretrained(folder)
    return folder


def tiny_blip(folder: Path) -> Path:
    """Write a BLIP that says some words about a picture."""
    import torch
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipImageProcessor

    torch.manual_seed(0)
    _write_tokenizer(folder)
    text = _LAYERS | {
        "vocab_size": len(WORDS), "encoder_hidden_size": 16, "max_position_embeddings": 128, "projection_dim": 16,
        "bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0,
    }  # fmt: skip
    config = BlipConfig(text_config=text, vision_config=_VISION, projection_dim=16, initializer_range=1.0)
    BlipForConditionalGeneration(config).save_pretrained(folder)
    BlipImageProcessor(size=_SIDE).save_pretrained(folder)
    return folder


def tiny_llava(folder: Path, *, chat: str | None = _CHAT) -> Path:
    """Write a LLaVA that answers with some words, or one that can't chat."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    torch.manual_seed(0)
    words = ["<pad>", "<s>", "</s>", "<unk>", "<image>", "USER:", "ASSISTANT:", *WORDS[5:]]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **special, extra_special_tokens={"image_token": "<image>"}
    )
    LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=_SIDE), tokenizer=fast, patch_size=8,
        vision_feature_select_strategy="default", num_additional_image_tokens=1, chat_template=chat,
    ).save_pretrained(folder)  # fmt: skip
    text = LlamaConfig(
        vocab_size=len(words), **_LAYERS, initializer_range=1.0, bos_token_id=1, eos_token_id=2, pad_token_id=0
    )
    vision = CLIPVisionConfig(**(_VISION | {"num_hidden_layers": 2}))
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=4)
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    return folder


def tiny_clip(folder: Path) -> Path:
    """Write a CLIP."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    torch.manual_seed(0)
    _write_tokenizer(folder)
    text = _LAYERS | {
        "vocab_size": len(WORDS), "max_position_embeddings": 16, "bos_token_id": 2, "eos_token_id": 3,
        "pad_token_id": 0, "initializer_factor": 10.0,
    }  # fmt: skip
    config = CLIPConfig(text_config=text, vision_config=_VISION, projection_dim=16, logit_scale_init_value=1.0)
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=_SIDE).save_pretrained(folder)
    return folder


def tiny_siglip(folder: Path) -> Path:
    """Write a SigLIP."""
    import torch
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    torch.manual_seed(0)
    _write_tokenizer(folder)
    text = _LAYERS | {"vocab_size": len(WORDS), "max_position_embeddings": 64, "projection_size": 16}
    SiglipModel(SiglipConfig(text_config=text, vision_config=_VISION)).save_pretrained(folder)
    SiglipImageProcessor(size=_SIDE).save_pretrained(folder)
    return folder


def _write_tokenizer(folder: Path) -> None:
    from transformers import BertTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    BertTokenizer(str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
