"""Test that normalisation goes into the convolution before it, where it may, and that answers stay."""

from __future__ import annotations

from typing import Any

import pytest

from bot.cpu.folded import AFTER_RELU, folded


@pytest.fixture
def pictures() -> Any:
    import torch

    torch.manual_seed(0)
    return torch.randn(2, 3, 16, 16)


def model_of(*layers: Any) -> Any:
    """Return layers as a model whose normalisations have seen something."""
    import torch

    model = torch.nn.Sequential(*layers).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            state = module.state_dict()
            for name, low in (("running_mean", -1.0), ("running_var", 0.5), ("weight", 0.5)):
                state[name].uniform_(low, 1.5)
    return model


def check(model: Any, pictures: Any) -> Any:
    """Fold a model; check that its answers stay, and that the original does."""
    import torch

    shown = str(model)
    result = folded(model, lambda _: lambda some: some(pictures))
    with torch.inference_mode():
        torch.testing.assert_close(result(pictures), model(pictures), rtol=1e-3, atol=1e-4)
    assert str(model) == shown
    assert not any(m._forward_hooks or m._forward_pre_hooks for some in (model, result) for m in some.modules())
    return result


def test_it_goes_into_the_convolution_before(pictures: Any) -> None:
    import torch

    conv, second = torch.nn.Conv2d(3, 8, 3, bias=False), torch.nn.Conv2d(8, 4, 3)
    model = model_of(conv, torch.nn.BatchNorm2d(8), torch.nn.ReLU(), second, torch.nn.BatchNorm2d(4))
    result = check(model, pictures)
    assert [type(layer).__name__ for layer in result] == ["Conv2d", "Identity", "ReLU", "Conv2d", "Identity"]
    assert result[2].inplace
    assert not model[2].inplace
    assert (getattr(result[0], AFTER_RELU), getattr(result[3], AFTER_RELU)) == (False, True)


def test_what_is_changed_after_its_activation_may_be_negative(pictures: Any) -> None:
    import torch

    class Centred(torch.nn.Module):
        def forward(self, inputs: Any) -> Any:
            return inputs.sub_(inputs.mean())

    layers = (torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), Centred(), torch.nn.Conv2d(8, 4, 3), torch.nn.BatchNorm2d(4))
    result = check(model_of(*layers), pictures)
    assert not getattr(result[3], AFTER_RELU)


def test_a_real_network_has_none_left(pictures: Any) -> None:
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[2, 1], num_labels=4)
    model = model_of(ResNetForImageClassification(config))
    result = folded(model, lambda _: lambda some: some(pictures).logits)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in result.modules())
    with torch.inference_mode():
        torch.testing.assert_close(result(pictures).logits, model(pictures).logits, rtol=1e-3, atol=1e-4)


def test_what_others_read_too_stays(pictures: Any) -> None:
    import torch

    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = torch.nn.Conv2d(3, 3, 1), torch.nn.BatchNorm2d(3)

        def forward(self, inputs: Any) -> Any:
            made = self.conv(inputs)
            return self.norm(made) + made

    model = model_of(Twice())
    assert check(model, pictures) is model


@pytest.mark.parametrize("shared", ["convolution", "normalisation"])
def test_a_layer_that_runs_twice_stays(pictures: Any, shared: str) -> None:
    import torch

    conv, norm = torch.nn.Conv2d(3, 3, 3), torch.nn.BatchNorm2d(3)
    other = torch.nn.Conv2d(3, 3, 1) if shared == "normalisation" else torch.nn.BatchNorm2d(3)
    layers = (conv, norm, other, norm) if shared == "normalisation" else (conv, norm, conv, other)
    model = model_of(*layers)
    assert sum(isinstance(layer, torch.nn.BatchNorm2d) for layer in check(model, pictures)) == 2


def test_a_model_without_normalisation_is_left_alone_and_not_run() -> None:
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    assert folded(model, lambda _: pytest.fail("it was run")) is model
