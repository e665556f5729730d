"""Test the tasks' commands with the bundled models."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from PIL import Image

from tests.cli.in_process import CommandLine
from tests.models.tiny_models import tiny_sentiment
from tests.models.tiny_translators import tiny_fsmt, tiny_marian
from tests.models.tiny_vision import tiny_clip, tiny_git, tiny_yolos

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("prepared")
EXAMPLES = ROOT / "bot" / "demo" / "examples"


@pytest.fixture
def hubcord(warm_workers: Path) -> CommandLine:
    """Run the command line in this process: starting one, and torch in its worker, takes seconds."""
    return CommandLine(warm_workers)


def hubcord_process(*arguments: str | Path, cwd: Path, stdin: str | bytes = b"") -> CompletedProcess[bytes]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "bot", *map(str, arguments)],
        cwd=cwd,
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        check=False,
        timeout=100,
    )


def lines_of(run: CompletedProcess[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.stdout.decode().splitlines()]


def test_sentiment_of_lines_in_their_order(tmp_path: Path) -> None:
    texts = [
        "I love this, thank you!",
        "This is terrible and I hate it.",
        "word " * 3_000,
        "The bus leaves at nine.",
    ] * 20  # more lines than may be on their way at once
    run = hubcord_process("sentiment", "-", "--json", cwd=tmp_path, stdin="\n".join(texts))
    assert (run.returncode, run.stderr) == (0, b"")
    answers = lines_of(run)
    assert [answer["label"] for answer in answers[:2]] == ["positive", "negative"]
    assert [answer["label"] for answer in answers] == [answer["label"] for answer in answers[:4]] * 20
    assert set(answers[0]) == {"label", "score", "scores", "model", "truncated", "seconds"}
    assert answers[0]["score"] == max(answers[0]["scores"].values())
    assert answers[0]["model"].startswith("minilm-sentiment@")


def test_an_answer_comes_before_the_next_line_and_ctrl_c_ends_the_wait(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bot", "sentiment", "-", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"I love this\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["label"] == "positive"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


def test_bad_lines_fail_alone(hubcord: CommandLine, tmp_path: Path) -> None:
    run = hubcord("sentiment", "-", "--json", cwd=tmp_path, stdin=b"good\n\n\xff\xfe bad\n")
    assert run.returncode == 2
    assert len(lines_of(run)) == 2
    assert run.stderr.decode() == "job 2: There is no text. Give some words to look at.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bot", "sentiment", "good", "--json"]
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, check=False, timeout=100)
    assert (run.returncode, run.stderr) == (1, b"standard output: No space left on device.\n")


def test_nothing_on_standard_input(tmp_path: Path) -> None:
    run = hubcord_process("sentiment", "-", "--json", cwd=tmp_path)
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


def test_classify_files_good_and_bad(hubcord: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("this is no picture", encoding="utf-8")
    (tmp_path / "empty.png").touch()
    files = [EXAMPLES / "cat.jpg", tmp_path / "notes.png", tmp_path / "missing.png", tmp_path, tmp_path / "empty.png"]
    run = hubcord("classify", *files, EXAMPLES / "coffee.jpg", "--top", "3", "--json", cwd=tmp_path)
    assert run.returncode == 2
    cat, coffee = lines_of(run)
    assert cat["file"].endswith("cat.jpg")
    assert {"tabby cat", "Egyptian Mau"} <= {label["label"] for label in cat["labels"]}
    assert coffee["labels"][0]["label"] == "espresso"
    errors = run.stderr.decode().splitlines()
    assert [error.rpartition("/")[2].partition(":")[0] for error in errors][:2] == ["notes.png", "missing.png"]
    assert len(errors) == 4


def test_detect_draws_what_it_finds(hubcord: CommandLine, tmp_path: Path) -> None:
    model = f"path:{tiny_yolos(tmp_path / 'yolos')}"
    (tmp_path / "notes.png").write_text("this is no picture", encoding="utf-8")
    files = [EXAMPLES / "cat.jpg", tmp_path / "notes.png"]
    options = ["--model", model, "--confidence", "60", "--out", "drawn", "--json"]
    run = hubcord("detect", *files, *options, cwd=tmp_path)
    (found,) = lines_of(run)
    assert run.returncode == 2
    assert b"notes.png: This file is no picture" in run.stderr
    assert (found["width"], found["height"]) == (451, 300)
    assert found["boxes"][0]["label"] in {"cat", "dog"}
    assert found["boxes"][0]["score"] >= found["boxes"][-1]["score"] >= 0.6
    assert len(found["boxes"][0]["box"]) == 4
    with Image.open(tmp_path / found["drawn"]) as drawn:
        assert drawn.width == 512
    shown = hubcord("detect", files[0], "--model", model, "--confidence", "99", cwd=tmp_path).stdout.decode()
    assert "%" in shown or "Nothing found" in shown


def test_describe_and_labels_of_ones_own(hubcord: CommandLine, tmp_path: Path) -> None:
    files = [EXAMPLES / "cat.jpg", EXAMPLES / "coffee.jpg"]
    words = hubcord("describe", *files, "--model", f"path:{tiny_git(tmp_path / 'git')}", "--json", cwd=tmp_path)
    assert [Path(answer["file"]).name for answer in lines_of(words)] == ["cat.jpg", "coffee.jpg"]
    assert set(lines_of(words)[0]) == {"file", "text", "model", "seconds"}
    model = f"path:{tiny_clip(tmp_path / 'clip')}"
    run = hubcord("classify", *files, "--labels", "a cat, a dog", "--model", model, "--json", cwd=tmp_path)
    for answer in lines_of(run):
        assert {label["label"] for label in answer["labels"]} == {"a cat", "a dog"}
        assert sum(label["score"] for label in answer["labels"]) == pytest.approx(1)


def test_imagine_writes_files_that_say_how_they_were_made(hubcord: CommandLine, tmp_path: Path) -> None:
    run = hubcord("imagine", "a red heart", "--seed", "5", "--count", "2", "--out", "made", "--json", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    (answer,) = lines_of(run)
    assert (answer["seed"], answer["seeds"], answer["prompt"], answer["steps"]) == (5, [5, 6], "a red heart", 20)
    with Image.open(tmp_path / answer["files"][1]) as second:
        parameters = json.loads(second.text["hubcord"])  # type: ignore[attr-defined]
        assert second.text["parameters"].startswith("a red heart\nSteps: 20, Sampler:")  # type: ignore[attr-defined]
        pixels = second.tobytes()
    assert (parameters["seed"], parameters["prompt"]) == (6, "a red heart")

    again = hubcord("imagine", "a red heart", "--seed", "6", "--json", "--out", "made", cwd=tmp_path)
    (alone,) = lines_of(again)
    assert alone["files"] != answer["files"][1:]
    with Image.open(tmp_path / alone["files"][0]) as image:
        difference = max(abs(a - b) for a, b in zip(image.tobytes(), pixels, strict=True))
    assert difference <= 2


def test_imagine_describes_its_pictures_where_that_is_configured(hubcord: CommandLine, tmp_path: Path) -> None:
    describe = f'[describe]\nmodels = ["path:{tiny_git(tmp_path / "git")}"]\nmax_tokens = 8\n'
    (tmp_path / "config.toml").write_text(f'[imagine]\nalt_text = "caption"\n{describe}', encoding="utf-8")
    run = hubcord("imagine", "a red heart", "--seed", "5", "--count", "2", "--steps", "2", "--json", cwd=tmp_path)
    (answer,) = lines_of(run)
    described = lines_of(hubcord("describe", *answer["files"], "--json", cwd=tmp_path))
    assert answer["captions"] == [picture["text"] for picture in described]
    assert any(answer["captions"])
    (tmp_path / "git" / "model.safetensors").write_bytes(b"half of what it was")
    failed = hubcord("imagine", "a red heart", "--seed", "5", "--steps", "2", cwd=tmp_path)
    assert (failed.returncode, failed.stderr) == (0, b"")
    assert failed.stdout.decode().split("\n")[1].strip().endswith("seed 5")


def test_imagine_with_another_scheduler(hubcord: CommandLine, tmp_path: Path) -> None:
    options = ["--steps", "2", "--scheduler", "euler A", "--json"]
    (answer,) = lines_of(hubcord("imagine", "a red heart", *options, cwd=tmp_path))
    assert answer["scheduler"] == "Euler a"


def test_imagine_hints_when_it_knows_no_word(hubcord: CommandLine, tmp_path: Path) -> None:
    run = hubcord("imagine", "quantum bureaucracy", "--steps", "2", "--json", cwd=tmp_path)
    (answer,) = lines_of(run)
    assert "This small model only knows" in answer["note"]


@pytest.mark.usefixtures("bergamot")
def test_translate_both_ways(hubcord: CommandLine, tmp_path: Path) -> None:
    run = hubcord("translate", "Where is the train station?", "--to", "pt", "--json", cwd=tmp_path)
    (answer,) = lines_of(run)
    assert "estação" in answer["text"]
    assert (answer["from"], answer["to"]) == ("en", "pt")
    back = hubcord(
        "translate", "O gato está dormindo no sofá.", "--to", "English", "--from", "pt", "--json", cwd=tmp_path
    )
    assert "cat" in lines_of(back)[0]["text"].lower()


@pytest.mark.usefixtures("bergamot")
def test_translate_through_english(hubcord: CommandLine, tmp_path: Path) -> None:
    tiny_fsmt(tmp_path / "en-de")
    pairs = [("pt", "en", "bundled:bergamot-pt-en"), ("en", "de", f"path:{tmp_path / 'en-de'}")]
    table = '[[translate.pairs]]\nfrom = "{}"\nto = ["{}"]\nmodel = "{}"\n'
    (tmp_path / "config.toml").write_text("".join(table.format(*pair) for pair in pairs), encoding="utf-8")
    texts = "O gato está dormindo no sofá.\nThe cat is sleeping on the sofa, as it always does.\n"
    run = hubcord("translate", "-", "--to", "de", "--json", cwd=tmp_path, stdin=texts)
    assert (run.returncode, run.stderr) == (0, b"")
    pivot, direct = lines_of(run)
    assert (pivot["from"], pivot["through"], pivot["to"]) == ("pt", "en", "de")
    assert pivot["model"].startswith("bergamot-pt-en@")
    assert pivot["model"].endswith(" → en-de")
    assert (direct["from"], direct["through"], direct["model"]) == ("en", None, "en-de")

    shown = hubcord("translate", "O gato está dormindo.", "--to", "de", "--from", "pt", cwd=tmp_path).stdout.decode()
    assert shown.startswith("Portuguese → German (through English) bergamot-pt-en@")
    other = f"path:{tiny_fsmt(tmp_path / 'other')}"
    alone = hubcord("translate", "x", "--to", "sv", "--from", "en", "--model", other, cwd=tmp_path)
    assert alone.returncode == 2
    assert "The model other can't translate from English into Swedish." in alone.stderr.decode()


def test_a_model_by_path(hubcord: CommandLine, tmp_path: Path) -> None:
    folder = tiny_sentiment(tmp_path / "my-model")
    run = hubcord("sentiment", "a good day", "--model", f"path:{folder}", "--json", cwd=tmp_path)
    (answer,) = lines_of(run)
    assert answer["model"] == "my-model"
    assert set(answer["scores"]) == {"POSITIVE", "NEGATIVE"}


def test_lines_may_wait_as_long_as_it_takes(hubcord: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[queue]\nexpire_s = 0.001\n", encoding="utf-8")
    run = hubcord("sentiment", "-", "--json", cwd=tmp_path, stdin="one\ntwo\nthree\n")
    assert (run.returncode, run.stderr) == (0, b"")
    assert len(lines_of(run)) == 3


def test_a_terminal_gets_no_commands_of_a_text(hubcord: CommandLine, tmp_path: Path) -> None:
    run = hubcord("sentiment", "\x1b[2Jgood", "--config", "\x1b[2Jbad", cwd=tmp_path)
    assert run.stderr == b"There is no configuration file [2Jbad.\n"
    shown = hubcord("sentiment", "\x1b[2Jgood", cwd=tmp_path).stdout.decode()
    assert shown.startswith("[2Jgood minilm-sentiment@")


def test_damaged_weights_are_one_line(hubcord: CommandLine, tmp_path: Path) -> None:
    folder = tiny_sentiment(tmp_path / "my-model")
    (folder / "model.safetensors").write_bytes(b"half of what it was")
    run = hubcord("sentiment", "hi", "--model", f"path:{folder}", cwd=tmp_path)
    assert run.returncode == 1
    told = f"job 1: The model my-model can't be loaded for this. path:{folder}: SafetensorError: "
    assert run.stderr.decode().startswith(told)
    assert len(run.stderr.splitlines()) == 1


def test_a_model_of_another_kind_is_one_line(hubcord: CommandLine, tmp_path: Path) -> None:
    run = hubcord("sentiment", "hi", "--model", f"path:{tiny_marian(tmp_path / 'marian')}", cwd=tmp_path)
    (line,) = run.stderr.decode().splitlines()
    assert run.returncode == 1
    assert "It is MarianMTModel, but the command takes text classification models" in line


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["sentiment", "hi", "--model", "resnet50"], 2, "is no model reference"),
        (["sentiment", "hi", "--model", ""], 2, "“” is no model reference"),
        (["imagine", "hi", "--model", ""], 2, "“” is no model reference"),
        (["translate", "hi", "--to", "pt", "--model", ""], 2, "“” is no model reference"),
        (["sentiment", "hi", "--loud"], 2, "No such option: --loud"),
        (["sentiment", "hi", "--model", "path:/nowhere"], 1, "path:/nowhere: The folder has no config.json"),
        (["sentiment"], 2, "Missing argument"),
        (["translate", "hi", "--to", "xx"], 2, "is no language I know"),
        (["translate", "hi", "--to", "ja"], 2, "I can't translate into Japanese here"),
        (["translate", "Bonjour à tous, comment allez-vous aujourd'hui ?", "--to", "pt"], 2, "This looks like French"),
        (["imagine", "x", "--size", "big"], 2, "is no size"),
        (["imagine", "x", "--size", "512x512"], 2, "makes pictures of 64x64 pixels only"),
        (["imagine", "x", "--steps", "5000"], 2, "at most 100 steps"),
        (["imagine", "x", "--seed", "-1"], 2, "--seed"),
        (["imagine", " "], 2, "There is no prompt"),
        (["imagine", "x", "--out", "/dev/null/made"], 2, "/dev/null/made: Not a directory."),
        (["classify", "x.png", "--top", "0"], 2, "--top"),
        (["classify", "x.png", "--labels", "a cat"], 2, "Give 2 to 25 labels"),
        (["classify", "x.png", "--labels", "a, b"], 2, "No model here takes labels of your own"),
        (["detect", "x.png"], 2, "No model is configured for this. Name one by --model"),
        (["detect", "x.png", "--model", "path:x", "--confidence", "0"], 2, "--confidence"),
        (["describe", "x.png"], 2, "No model is configured for this. Name one by --model"),
        (["sentiment", "hi", "--config", "nowhere.toml"], 2, "There is no configuration file nowhere.toml"),
        (["run"], 2, "There is no DISCORD_TOKEN in the environment"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_one_clear_line_and_the_right_exit_code(
    hubcord: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    complaint: str,
) -> None:
    monkeypatch.delenv("DISCORD_TOKEN", raising=False)
    run = hubcord(*arguments, cwd=tmp_path)
    assert run.returncode == code
    assert complaint in run.stderr.decode()
    assert "Traceback" not in run.stderr.decode()
    assert run.stdout == b""
    assert len(run.stderr.splitlines()) == 1 or arguments == ["run"]
