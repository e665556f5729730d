"""Test that pictures are described as the models' own code does it, alone and in batches."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.errors import JobCancelled, ModelUnavailable
from bot.hub.resolve import find_model
from bot.tasks.describe.pipeline import DescribePipeline, _Chatter, load_describer
from bot.tasks.describe.task import DescribeRequest, DescribeSettings
from tests.models.tiny_models import tiny_classifier
from tests.models.tiny_vision import tiny_blip, tiny_git, tiny_llava
from tests.tasks.running import photo, run_batch
from tests.workers.line import CPU

PICTURES = (photo(60, 40), photo(48, 48, angle=30), photo(60, 40, angle=70), photo(20, 80, angle=10))


def describe(folder: Path, *pictures: bytes, stopped: frozenset[str] = frozenset(), **settings: Any) -> list[Any]:
    requests = [DescribeRequest(model=f"path:{folder}", image=picture) for picture in pictures]
    return run_batch(DescribePipeline(DescribeSettings(**settings)), requests, stopped)


@pytest.mark.parametrize("write", [tiny_blip, tiny_git])
def test_a_batch_of_captions(write: Callable[[Path], Path], tmp_path: Path) -> None:
    from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

    folder = write(tmp_path / "model")
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    processor, tokenizer = AutoImageProcessor.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    results = describe(folder, *PICTURES, max_tokens=12)
    for picture, result in zip(PICTURES, results, strict=True):
        pixels = processor(Image.open(io.BytesIO(picture)), return_tensors="pt")["pixel_values"]
        tokens = model.generate(pixel_values=pixels, max_new_tokens=12, max_length=None)
        assert result.text == tokenizer.decode(tokens[0], skip_special_tokens=True)
    assert any(result.text for result in results)
    with Image.open(io.BytesIO(results[3].thumbnail)) as small:
        assert small.size == (20, 80)


def test_a_model_is_asked_in_a_chat_and_only_its_answer_is_told(tmp_path: Path) -> None:
    folder = tiny_llava(tmp_path / "llava")
    prompt = "this is a red car"
    together = describe(folder, *PICTURES, max_tokens=6, prompt=prompt)
    alone = [describe(folder, picture, max_tokens=6, prompt=prompt)[0] for picture in PICTURES]
    assert [result.text for result in together] == [result.text for result in alone]
    assert all(0 < len(result.text.split()) <= 6 for result in together)
    assert not any(prompt in result.text for result in together)
    assert describe(folder, PICTURES[0], max_tokens=6, prompt="a dog")[0].text != together[0].text


def test_a_stopped_one_is_told_so_and_the_others_are_answered(tmp_path: Path) -> None:
    first, second = describe(tiny_git(tmp_path / "git"), *PICTURES[:2], stopped=frozenset("0"))
    assert isinstance(first, JobCancelled)
    assert second.model == "git"


def test_when_all_were_stopped_nothing_more_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []

    def texts(_: object, ids: Any, _inputs: object) -> list[str]:
        written.append(ids.shape[1])
        return [""]

    monkeypatch.setattr(_Chatter, "texts", texts)
    folder = tiny_llava(tmp_path / "llava")
    describe(folder, PICTURES[0], max_tokens=9)
    describe(folder, PICTURES[0], max_tokens=9, stopped=frozenset("0"))
    assert written[1] == written[0] - 8


def test_what_is_no_picture_fails_alone(tmp_path: Path) -> None:
    bad, good = describe(tiny_git(tmp_path / "git"), b"no picture", PICTURES[0])
    assert "no picture that can be read" in str(bad)
    assert good.model == "git"


def test_models_of_other_kinds_are_refused(tmp_path: Path) -> None:
    classifier, mute = tiny_classifier(tmp_path / "vit"), tiny_llava(tmp_path / "mute", chat=None)
    with pytest.raises(ModelUnavailable) as error:
        find_model(f"path:{classifier}", model_filter=DescribePipeline.model_filter)
    assert "but the command takes image captioning" in error.value.values["hint"]
    with pytest.raises(ModelUnavailable) as error:
        load_describer(find_model(f"path:{mute}", model_filter=DescribePipeline.model_filter), CPU)
    assert "It has no chat template" in error.value.values["hint"]
