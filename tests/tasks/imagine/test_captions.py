"""Test that pictures get captions, and come as they are when that fails."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.errors import JobCancelled
from bot.tasks.base import Failure
from bot.tasks.describe.pipeline import DescribePipeline
from bot.tasks.describe.task import DescribeRequest, DescribeSettings
from bot.tasks.imagine import captions
from bot.tasks.imagine.renderer import Painter
from bot.tasks.imagine.task import ImagineResult, ImagineSettings
from tests.models.tiny_models import tiny_sentiment
from tests.models.tiny_pipelines import tiny_sd
from tests.models.tiny_vision import tiny_git, tiny_llava
from tests.tasks.imagine.painting import Studio
from tests.tasks.running import run_batch
from tests.workers.line import Line

pytestmark = pytest.mark.filterwarnings("ignore")  # what libraries say of their own next versions


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_sd(folder / "sd")
    tiny_git(folder / "git")
    return folder


def studio(folder: Path, describer: str = "", **options: Any) -> Studio:
    describe = DescribeSettings(models=(describer or f"path:{folder / 'git'}",), **{"max_tokens": 8} | options)
    return Studio(ImagineSettings(models=(f"path:{folder / 'sd'}",)), describe)


def captions_of(result: ImagineResult) -> list[str]:
    return [picture.caption for picture in result.pictures]


@pytest.mark.parametrize("write", [tiny_git, tiny_llava])
def test_each_picture_has_the_caption_that_describe_gives_it(folder: Path, tmp_path: Path, write: Any) -> None:
    reference = f"path:{write(tmp_path / 'describer')}"
    made = studio(folder, reference, max_rows=2)
    line = Line()
    results = made.outcomes(made.request(count=3), made.request("sea", seed=9), line=line)
    pictures = [picture for result in results for picture in result.pictures]
    requests = [DescribeRequest(model=reference, image=picture.png) for picture in pictures]
    settings = DescribeSettings(models=(reference,), max_tokens=8)
    described = run_batch(DescribePipeline(settings), requests)
    assert [picture.caption for picture in pictures] == [answer.text for answer in described]
    assert len({picture.caption for picture in pictures}) > 1
    plain = [
        replace(result, pictures=tuple(replace(picture, caption="") for picture in result.pictures))
        for result in results
    ]
    assert [draft.result for draft in line.drafts.values()] == plain


def test_without_the_setting_nothing_is_described(folder: Path) -> None:
    line = Line()
    result = Studio(ImagineSettings(models=(f"path:{folder / 'sd'}",))).paint(line=line)
    assert captions_of(result) == [""]
    assert not line.drafts


def test_withheld_pictures_are_not_described(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint = Painter.paint

    def flagged(*args: Any) -> Any:
        painting = paint(*args)
        return painting and replace(painting, flagged=[True, False])

    monkeypatch.setattr(Painter, "paint", flagged)
    first, second = captions_of(studio(folder).paint(count=2))
    assert not first
    assert second


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many pictures each try had."""
    tries: list[int] = []
    run = DescribePipeline.run

    def counted(self: DescribePipeline, requests: Any, context: Any) -> Iterator[Any]:
        tries.append(len(requests))
        return run(self, requests, context)

    monkeypatch.setattr(DescribePipeline, "run", counted)
    return tries


def test_a_model_that_cannot_be_had_is_told_once(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captions, "_REST", 0.0)
    other = f"path:{tiny_sentiment(tmp_path / 'sentiment')}"
    missing = "hf:org/missing@0123456789012345678901234567890123456789"
    for reference, why in [
        ("path:nowhere", "path:nowhere: The folder has no config.json"),
        (other, "It is BertForSequenceClassification, but the command takes image captioning"),
        (missing, f"It isn't here yet. `hubcord models pull {missing}` fetches it."),
    ]:
        caplog.clear()
        made = studio(folder, reference)
        assert [captions_of(made.paint()) for _ in range(2)] == [[""]] * 2
        told = [record for record in caplog.records if record.name == captions.__name__]
        assert len(told) == 1, reference
        assert told[0].levelno == logging.WARNING
        assert why in told[0].getMessage()


@pytest.mark.parametrize(("rest", "tried"), [(1e9, [1]), (0.0, [1, 1, 1])])
def test_full_memory_leaves_the_prompt_and_few_pictures_wait_for_that(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tries: list[int], rest: float, tried: list[int]
) -> None:
    import torch

    def full(*_: object, **__: object) -> Any:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(captions, "_REST", rest)
    made = studio(folder)
    with monkeypatch.context() as patched:
        patched.setattr("transformers.GitForCausalLM.generate", full)
        assert [captions_of(made.paint()) for _ in range(2)] == [[""]] * 2
    (after,) = captions_of(made.paint())
    assert bool(after) == (rest == 0)
    assert tries == tried


def test_a_slow_model_is_stopped(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tries: list[int]
) -> None:
    monkeypatch.setattr(captions, "WRITING_S", -1.0)
    made = studio(folder, f"path:{tiny_llava(tmp_path / 'llava')}", max_tokens=400)
    assert [captions_of(made.paint(count=2)), captions_of(made.paint())] == [["", ""], [""]]
    assert tries == [2]
    assert "TimeoutError: the captions take more than" in caplog.text


def test_after_each_word_short_jobs_run_and_what_nobody_wants_ends(folder: Path, tmp_path: Path) -> None:
    made = studio(folder, f"path:{tiny_llava(tmp_path / 'llava')}", max_tokens=6)
    made.paint()

    def pauses(*stopped: str) -> int:
        """Return how often short jobs could run while three pictures of two jobs were described."""
        pauses: list[int] = []

        def between() -> None:
            if line.drafts:
                line.stopped.update(stopped)
                pauses.append(1)

        line = Line(between)
        made.outcomes(made.request(count=2), made.request("sea"), line=line)
        return len(pauses)

    once = 3 * 2  # after one word of each, and at its end
    assert pauses() > pauses("0") > pauses("0", "1") == once


def test_a_job_that_is_stopped_meanwhile_is_told_so(folder: Path) -> None:
    line = Line(lambda: line.stopped.add("0") if line.drafts else None)
    made = studio(folder)
    stopped, other = made.outcomes(made.request(), made.request("sea"), line=line)
    assert isinstance(stopped, Failure)
    assert isinstance(stopped.error, JobCancelled)
    assert captions_of(other)[0]
