"""Test that texts in one row, without padding, get the logits that they get alone."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from bot.cpu import unpadded
from bot.cpu.choice import converted

if TYPE_CHECKING:
    from bot.machine.device import Precision

FAMILIES = ("albert", "bert", "camembert", "distilbert", "electra", "roberta", "xlm-roberta")
POSITIONS, WORDS = 40, 300
LENGTHS = (9, 2, 38, 3, 9, 30, 3, 17, 9)


def make(family: str, **changes: Any) -> Any:
    """Return a tiny classifier of a family with random weights."""
    import torch
    import transformers

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 64}
    if family == "distilbert":
        sizes = {"dim": 32, "n_heads": 4, "n_layers": 2, "hidden_dim": 64}
    every = {"vocab_size": WORDS, "num_labels": 3, "max_position_embeddings": POSITIONS, "initializer_range": 0.5}
    config = transformers.AutoConfig.for_model(family, **sizes, **every, **changes)
    return transformers.AutoModelForSequenceClassification.from_config(config).eval()


def texts(lengths: tuple[int, ...]) -> list[list[int]]:
    """Return made up tokens."""
    import torch

    torch.manual_seed(1)
    return [torch.randint(5, WORDS, (length,)).tolist() for length in lengths]


@pytest.mark.parametrize("family", FAMILIES)
def test_each_text_gets_the_logits_that_it_gets_alone(family: str) -> None:
    import torch

    model = make(family)
    with torch.inference_mode():
        alone = torch.cat([model(input_ids=torch.tensor([text])).logits for text in texts(LENGTHS)])
        assert unpadded.unpad(model)
        together = unpadded.classify(model, texts(LENGTHS))
    assert alone.std(0).min() > 0.01
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_it_holds_in_every_precision(precision: Precision) -> None:
    import torch

    model = make("bert")
    assert unpadded.unpad(model)
    finer = converted(model, precision)
    with torch.inference_mode():
        alone = torch.cat([unpadded.classify(finer, [text]) for text in texts(LENGTHS)])
        together = unpadded.classify(finer, texts(LENGTHS))
    torch.testing.assert_close(together, alone, atol=0.02, rtol=0.02)


def test_more_tokens_than_the_model_has_positions_fit_into_one_row() -> None:
    import torch

    model = make("roberta")
    assert unpadded.unpad(model)
    with torch.inference_mode():
        logits = unpadded.classify(model, [texts((30,))[0]] * 20)
    torch.testing.assert_close(logits, logits[:1].expand(20, -1))


@pytest.mark.parametrize(("family", "changes"), [("mpnet", {}), ("bert", {"is_decoder": True})])
def test_other_models_stay_as_they_are(family: str, changes: dict[str, Any]) -> None:
    model = make(family, **changes)
    before = copy.deepcopy(model.config.to_dict())
    assert not unpadded.unpad(model)
    assert model.config.to_dict() == before


def test_rows_have_few_lengths_so_that_the_libraries_remember_few() -> None:
    import torch

    model = make("bert")
    assert unpadded.unpad(model)
    met: set[tuple[int, ...]] = set()
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(lambda _module, inputs, _output: met.add(tuple(inputs[0].shape[:-1])))
    with torch.inference_mode():
        for count in range(1, 200):
            assert len(unpadded.classify(model, [[5] * 37] * count)) == count
    lengths = {shape[-1] for shape in met if len(shape) > 1}
    assert len(lengths) < 90
    assert max(lengths) < 1.07 * 37 * 199
    assert len({shape[0] for shape in met}) <= 26
