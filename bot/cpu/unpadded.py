"""Run texts of different lengths through an encoder one after another in a single row, so that nothing is padded.

Every token goes through the Linear layers together, whatever text it belongs to: on the CPU each pass reads all weights
from memory once, so one long row beats many padded batches (docs/performance.md). Only attention keeps the texts
apart, and pads them in a few blocks of similar length. On GPUs flash attention has kernels for this; here it's torch's
own attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.cpu.group_by_length import group_by_length

_FAMILIES = {
    "albert": "encoder",
    "bert": "encoder",
    "camembert": "encoder",
    "distilbert": "transformer",
    "electra": "encoder",
    "roberta": "encoder",
    "xlm-roberta": "encoder",
}
"""The model types whose texts only meet in attention and whose head reads the first token, and the encoder's name."""
_AFTER_PADDING = {"camembert", "roberta", "xlm-roberta"}
"""Their positions are counted from after the number of the padding token."""
_ATTENTION = "one row"
_BLOCK, _LARGEST_BLOCK = 128, 8_192
"""Cost of one more call of attention, in padded tokens (measured), and the most padded tokens of a call."""
_LEAST_STEP, _HEADS_STEP = 16, 8
"""Row lengths and numbers of texts are rounded up to multiples of these: fewer shapes, and less memory for each."""


def unpad(model: Any) -> bool:
    """Prepare a `*ForSequenceClassification` model for `classify`; say whether it can be, and change nothing if not."""
    config = model.config
    if config.model_type not in _FAMILIES or getattr(config, "is_decoder", False) or model.device.type != "cpu":
        return False
    from transformers import AttentionInterface

    AttentionInterface.register(_ATTENTION, _attend)
    config._attn_implementation = _ATTENTION  # noqa: SLF001 - set_attn_implementation() knows no masks for a new one
    encoder = getattr(model.base_model, _FAMILIES[config.model_type])
    encoder.register_forward_hook(_keep_first_tokens, with_kwargs=True)
    return True


def classify(model: Any, texts: Sequence[Sequence[int]]) -> Any:
    """Return the logits (texts, labels) of texts given as numbers of tokens."""
    import torch

    config = model.config
    first = config.pad_token_id + 1 if config.model_type in _AFTER_PADDING else 0
    tokens = sum(len(text) for text in texts)
    filling = _rounded_up(tokens) - tokens
    return model(
        input_ids=torch.tensor([[*(token for text in texts for token in text), *[0] * filling]]),
        position_ids=torch.cat(
            [*(torch.arange(first, first + len(text)) for text in texts), torch.full((filling,), first)]
        ).unsqueeze(0),
        layout=_Layout.of([len(text) for text in texts], filling),
    ).logits[: len(texts)]


def _rounded_up(tokens: int) -> int:
    """Return the length of a row for so many tokens: oneDNN keeps a megabyte for each length that it has met.

    There are 16 lengths from one power of two to the next, so that at most a sixteenth is filling.
    """
    step = max(_LEAST_STEP, 1 << (tokens.bit_length() - 5)) if tokens > _LEAST_STEP else _LEAST_STEP
    return -(-tokens // step) * step


@dataclass(frozen=True, slots=True)
class _Layout:
    """Say where texts lie in a row of tokens, and how attention pads them: in blocks of similar length.

    `starts` (texts,) are their first tokens. `blocks` are the texts, the places of each and which of those (texts, 1,
    1, places) aren't padding, None when all are. `gathered` is the token in each place of all blocks, `real` the place
    of each token.
    """

    starts: Any
    blocks: list[tuple[int, int, Any]]
    gathered: Any
    real: Any

    @classmethod
    def of(cls, lengths: Sequence[int], filling: int) -> _Layout:
        """Lay out texts of these lengths in tokens, and `filling` tokens at the end that belong to none.

        Some `starts` are added, too; what the head makes of them is cut off.
        """
        import torch

        counts = torch.tensor(lengths)
        starts = counts.cumsum(0) - counts
        blocks, tokens, filled = [], [], []
        for group in group_by_length(lengths, most=_LARGEST_BLOCK, overhead=_BLOCK):
            places = torch.arange(lengths[group[-1]])
            inside = places < counts[group, None]
            blocks.append((len(group), len(places), None if inside.all() else inside[:, None, None]))
            tokens.append((starts[group, None] + places * inside).flatten())
            filled.append(inside.flatten())
        gathered, real = torch.cat(tokens), torch.cat(filled).nonzero().squeeze(-1)
        places = torch.cat((real[gathered[real].argsort()], real.new_zeros(filling)))
        heads = torch.cat((starts, starts.new_zeros(-len(lengths) % _HEADS_STEP)))
        return cls(heads, blocks, gathered, places)


def _attend(
    _module: Any, query: Any, key: Any, value: Any, _mask: Any, *, layout: _Layout, scaling: float | None, **_: Any
) -> tuple[Any, None]:
    """Let each text attend to itself: (1, heads, tokens, width) to (1, tokens, heads, width)."""
    import torch

    sizes = [texts * places for texts, places, _ in layout.blocks]
    rows = [tensor.transpose(1, 2).squeeze(0).index_select(0, layout.gathered) for tensor in (query, key, value)]
    outputs = []
    for (texts, places, inside), *block in zip(layout.blocks, *(row.split(sizes) for row in rows), strict=True):
        queries, keys, values = (tensor.unflatten(0, (texts, places)).transpose(1, 2) for tensor in block)
        output = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, inside, scale=scaling)
        outputs.append(output.transpose(1, 2).flatten(0, 1))
    return torch.cat(outputs).index_select(0, layout.real).unsqueeze(0), None


def _keep_first_tokens(_encoder: Any, _args: Any, kwargs: Any, output: Any) -> Any:
    """Leave each text's first token to the head: (1, tokens, width) to (texts, 1, width)."""
    output.last_hidden_state = output.last_hidden_state[0, kwargs["layout"].starts].unsqueeze(1)
    return output
