"""Test that packed layers compute what they replace, and that only what gains by it is replaced."""

from __future__ import annotations

import platform

import pytest

from bot.cpu.packed import packed, packed_linear
from bot.workers.model_cache import measured_bytes


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(300,), (1, 300), (7, 300), (2, 3, 300), (0, 300)])
def test_it_computes_what_the_layer_does(shape: tuple[int, ...], bias: bool, dtype: str) -> None:
    import torch

    torch.manual_seed(0)
    linear = torch.nn.Linear(300, 400, bias=bias).to(getattr(torch, dtype))
    inputs = torch.randn(shape, dtype=getattr(torch, dtype))
    with torch.inference_mode():
        right, found = linear(inputs), packed_linear()(linear)(inputs)
    assert (found.shape, found.dtype) == (right.shape, right.dtype)
    torch.testing.assert_close(found, right)


def test_only_large_plain_layers_are_replaced_and_the_original_stays() -> None:
    import torch

    class Other(torch.nn.Linear):
        pass

    model = torch.nn.Sequential(torch.nn.Linear(300, 400), torch.nn.Linear(400, 2), Other(300, 400))
    result = packed(model)
    assert [type(layer) for layer in result] == [packed_linear(), torch.nn.Linear, Other]
    assert isinstance(model[0], torch.nn.Linear)
    assert result[1].weight is model[1].weight
    assert measured_bytes(result) == measured_bytes(model)


def test_other_processors_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    model = torch.nn.Sequential(torch.nn.Linear(300, 400))
    assert packed(model) is model
