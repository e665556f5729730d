"""Make tiny text-to-image pipelines with random weights, one of each family, and tiny adapters for them.

Their configurations follow those of diffusers' own tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

TOKENIZER = ROOT / "models" / "emoji-sd" / "tokenizer"
_CLIP_WORDS = 1138


def tiny_sd(folder: Path, *, scheduler: str = "PNDMScheduler") -> Path:
    """Write a Stable Diffusion 1 for pictures of 64 by 64 pixels."""
    return _stable_diffusion(folder, scheduler, unet={})


def tiny_lcm(folder: Path) -> Path:
    """Write a latent consistency model."""
    return _stable_diffusion(folder, "LCMScheduler", unet={"time_cond_proj_dim": 16}, kind="LatentConsistencyModel")


def tiny_sdxl(folder: Path) -> Path:
    """Write a Stable Diffusion XL for pictures of 64 by 64 pixels."""
    import diffusers

    more = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8, "use_linear_projection": True}
    unet = _unet(cross_attention_dim=64, projection_class_embeddings_input_dim=6 * 8 + 32, **more)
    diffusers.StableDiffusionXLPipeline(
        vae=_vae(), unet=unet, scheduler=_scheduler("EulerDiscreteScheduler"), text_encoder=_clip(),
        text_encoder_2=_clip(projected=True), tokenizer=_clip_tokenizer(), tokenizer_2=_clip_tokenizer(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def tiny_sd3(folder: Path) -> Path:
    """Write a Stable Diffusion 3 for pictures of 64 by 64 pixels."""
    import diffusers

    transformer = diffusers.SD3Transformer2DModel(
        sample_size=32, patch_size=2, in_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=4,
        joint_attention_dim=32, caption_projection_dim=32, pooled_projection_dim=64, out_channels=4,
    )  # fmt: skip
    diffusers.StableDiffusion3Pipeline(
        transformer=transformer, scheduler=diffusers.FlowMatchEulerDiscreteScheduler(), vae=_vae(shift_factor=0.0),
        text_encoder=_clip(projected=True), tokenizer=_clip_tokenizer(), text_encoder_2=_clip(projected=True),
        tokenizer_2=_clip_tokenizer(), text_encoder_3=_t5(), tokenizer_3=_t5_tokenizer(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def tiny_flux(folder: Path, *, guided: bool = True) -> Path:
    """Write a FLUX; one that isn't `guided` is made like FLUX.1-schnell."""
    import diffusers

    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=[4, 4, 8], guidance_embeds=guided,
    )  # fmt: skip
    diffusers.FluxPipeline(
        transformer=transformer, scheduler=diffusers.FlowMatchEulerDiscreteScheduler(), vae=_vae(shift_factor=0.0),
        text_encoder=_clip(), tokenizer=_clip_tokenizer(), text_encoder_2=_t5(), tokenizer_2=_t5_tokenizer(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def tiny_pixart(folder: Path) -> Path:
    """Write a PixArt for pictures of about 64 by 64 pixels."""
    import diffusers

    transformer = diffusers.PixArtTransformer2DModel(
        sample_size=32, num_layers=1, patch_size=2, attention_head_dim=8, num_attention_heads=3, caption_channels=32,
        in_channels=4, cross_attention_dim=24, out_channels=8, norm_type="ada_norm_single",
    )  # fmt: skip
    diffusers.PixArtSigmaPipeline(
        transformer=transformer, scheduler=_scheduler("DPMSolverMultistepScheduler"), vae=_vae(), text_encoder=_t5(),
        tokenizer=_t5_tokenizer(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


FAMILIES: Mapping[str, Callable[[Path], Path]] = {
    "sd": tiny_sd, "lcm": tiny_lcm, "sdxl": tiny_sdxl, "sd3": tiny_sd3, "flux": tiny_flux, "pixart": tiny_pixart,
}  # fmt: skip


def tiny_lora(file: Path, model: Path, *, seed: int = 0) -> Path:
    """Write an adapter of random weights for the attention of a pipeline's UNet or transformer."""
    import torch
    from diffusers import AutoPipelineForText2Image
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    pipe = AutoPipelineForText2Image.from_pretrained(model)
    core = "unet" if hasattr(pipe, "unet") else "transformer"
    torch.manual_seed(seed)
    config = LoraConfig(r=2, init_lora_weights=False, target_modules=["to_q", "to_k", "to_v", "to_out.0"])
    getattr(pipe, core).add_adapter(config)
    for name, weight in getattr(pipe, core).named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight)
    layers = {f"{core}_lora_layers": get_peft_model_state_dict(getattr(pipe, core))}
    pipe.save_lora_weights(file.parent, weight_name=file.name, **layers)
    return file


def _stable_diffusion(folder: Path, scheduler: str, *, unet: dict[str, Any], kind: str = "StableDiffusion") -> Path:
    import diffusers

    parts: dict[str, Any] = {
        "vae": _vae(), "unet": _unet(**unet), "scheduler": _scheduler(scheduler), "text_encoder": _clip(),
        "tokenizer": _clip_tokenizer(), "safety_checker": None, "feature_extractor": None,
    }  # fmt: skip
    getattr(diffusers, f"{kind}Pipeline")(**parts, requires_safety_checker=False).save_pretrained(folder)
    return folder


def _scheduler(kind: str) -> Any:
    import diffusers

    more = {"skip_prk_steps": True} if kind == "PNDMScheduler" else {}
    return getattr(diffusers, kind)(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **more)


def _unet(**changes: Any) -> Any:
    import diffusers
    import torch

    torch.manual_seed(0)
    config: dict[str, Any] = {
        "block_out_channels": (8, 16), "layers_per_block": 1, "sample_size": 32, "norm_num_groups": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"), "attention_head_dim": 4,
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"), "cross_attention_dim": 32,
    }  # fmt: skip
    return diffusers.UNet2DConditionModel(**{**config, **changes})


def _vae(**changes: Any) -> Any:
    import diffusers
    import torch

    torch.manual_seed(0)
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 16), norm_num_groups=4, latent_channels=4, sample_size=64,
        down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2, **changes,
    )  # fmt: skip


def _clip(*, projected: bool = False) -> Any:
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=_CLIP_WORDS, hidden_size=32, projection_dim=32, intermediate_size=37, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=77, bos_token_id=0, eos_token_id=_CLIP_WORDS - 1,
    )  # fmt: skip
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def _clip_tokenizer() -> Any:
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(TOKENIZER, model_max_length=77)


def _t5() -> Any:
    import torch
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(0)
    return T5EncoderModel(
        T5Config(vocab_size=40, d_model=32, d_ff=37, d_kv=8, num_layers=1, num_heads=4, is_encoder_decoder=False)
    )


def _t5_tokenizer() -> Any:
    from transformers import T5Tokenizer

    letters = [(letter, -3.0) for letter in "▁abcdefghijklmnopqrstuvwxyz"]
    return T5Tokenizer(vocab=[("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *letters], extra_ids=0)
