"""Test that convolutions in 8 bits compute nearly what they replace, for each picture by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bot.cpu import int8
from bot.cpu.folded import AFTER_RELU
from bot.cpu.int8 import quantised
from bot.cpu.int8_conv import int8_conv, int8_conv_class
from bot.cpu.layers import multiplies_bytes


@pytest.fixture(autouse=True)
def _with_vnni() -> None:
    if not multiplies_bytes():
        pytest.skip("needs a processor with VNNI")


@pytest.fixture
def make() -> Callable[..., tuple[Any, Any]]:
    """Return what makes a convolution and pictures of very different strength for it."""
    import torch

    def make(channels: int, out: int, kernel: int, **options: Any) -> tuple[Any, Any]:
        torch.manual_seed(0)
        strength = torch.tensor([1.0, 100.0, 0.01]).view(-1, 1, 1, 1)
        return torch.nn.Conv2d(channels, out, kernel, **options).eval(), torch.randn(3, channels, 21, 17) * strength

    return make


@pytest.mark.parametrize("is_positive", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel": 1},
        {"kernel": 3, "padding": 1},
        {"kernel": 7, "stride": 2, "padding": 3, "bias": False},
        {"kernel": 3, "padding": (0, 2), "dilation": 2},
    ],
)
def test_it_computes_nearly_what_the_layer_does(make: Any, options: dict[str, Any], is_positive: bool) -> None:
    import torch

    conv, pictures = make(16, 24, **options)
    if is_positive:
        setattr(conv, AFTER_RELU, True)
        pictures.abs_()
    layer = int8_conv(conv)
    with torch.inference_mode():
        right, found, alone = conv(pictures), layer(pictures), layer(pictures[:1])
    assert found.shape == right.shape
    most = right.abs().amax((1, 2, 3))
    assert ((found - right).abs().amax((1, 2, 3)) < 0.02 * most).all()
    assert torch.equal(alone, found[:1])


def test_it_takes_pictures_of_other_sizes_and_without_anything(make: Any) -> None:
    import torch

    conv, pictures = make(16, 24, kernel=3)
    layer = int8_conv(conv)
    with torch.inference_mode():
        layer(pictures)
        smaller = pictures[:, :, :9, :5]
        torch.testing.assert_close(layer(smaller), conv(smaller), rtol=0.1, atol=1.0)
        empty = torch.zeros(1, 16, 8, 8)
        torch.testing.assert_close(layer(empty), conv(empty))


@pytest.mark.parametrize(
    "options",
    [
        {"kernel": 3, "groups": 16},
        {"kernel": 3, "padding": "same"},
        {"kernel": 3, "padding": 1, "padding_mode": "reflect"},
        {"kernel": 4, "stride": 4},
    ],
)
def test_others_stay(make: Any, options: dict[str, Any]) -> None:
    conv, _ = make(16, 16, **options)
    assert int8_conv(conv) is conv


def test_a_model_gets_them_where_the_processor_adds_exactly(monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    import torch

    conv, _ = make(16, 16, kernel=3)
    model = torch.nn.Sequential(conv)
    assert type(quantised(model)[0]) is int8_conv_class()
    monkeypatch.setattr(int8, "multiplies_bytes", lambda: False)
    assert type(quantised(model)[0]) is torch.nn.Conv2d
