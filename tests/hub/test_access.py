"""Test what happens when the Hub doesn't give a model, or not as it should."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.hub.access import from_hub_error
from bot.hub.download.weights import _source
from bot.hub.reference import parse_reference
from tests.hub import loopback_hub
from tests.hub.finding import TOKEN, find_in_subprocess
from tests.hub.loopback_hub import Fault, LoopbackHub, Repository, serve_hub
from tests.models.tiny_models import only_pickle, tiny_classifier, tiny_sentiment

MEMBERS_READ = "This model isn't available on this server yet."


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("repositories")
    return {
        "sentiment": tiny_sentiment(folder / "sentiment"),
        "classifier": tiny_classifier(folder / "classifier"),
        "pickled": only_pickle(folder / "pickled"),
    }


@pytest.fixture
def hub(repositories: dict[str, Path]) -> Iterator[LoopbackHub]:
    with serve_hub() as hub:
        hub.add("org/sentiment", repositories["sentiment"])
        hub.add("org/classifier", repositories["classifier"])
        hub.add("org/pickled", repositories["pickled"])
        hub.add("org/gated", repositories["sentiment"], gated=True, reader=TOKEN)
        hub.add("org/private", repositories["sentiment"], private=True, reader=TOKEN)
        hub.add("org/emoji", Path(__file__).parents[2] / "models" / "emoji-sd")
        yield hub


def test_what_the_hub_does_not_give_is_told_apart_for_the_host(hub: LoopbackHub, tmp_path: Path) -> None:
    gated, private, missing, revision = find_in_subprocess(
        hub, tmp_path, "hf:org/gated@main", "hf:org/private@main", "hf:org/nothing@main", "hf:org/sentiment@v9"
    )
    assert {answer["error"] for answer in (gated, private, missing, revision)} == {MEMBERS_READ}
    assert gated["hint"].startswith("hf:org/gated@main: Its licence must be accepted first. 1. Accept it at ")
    assert f"{hub.url}/org/gated" in gated["hint"]
    assert all("2. " in answer["hint"] and "HF_TOKEN" in answer["hint"] for answer in (gated, private, missing))
    assert "or it is private" in private["hint"]
    assert "no revision v9" in revision["hint"]


def test_a_token_opens_what_it_may_read_and_goes_to_the_hub_alone(hub: LoopbackHub, tmp_path: Path) -> None:
    found = find_in_subprocess(hub, tmp_path, "hf:org/gated@main", "hf:org/private@main", HF_TOKEN=TOKEN)
    assert all("shown" in answer for answer in found)
    assert ("_HubHandler", TOKEN) in hub.tokens
    assert {token for server, token in hub.tokens if server == "_FileHandler"} == {""}


def test_the_token_that_was_stored_by_logging_in(hub: LoopbackHub, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    (found,) = find_in_subprocess(hub, tmp_path, "hf:org/private@main")
    assert "shown" in found


@pytest.mark.parametrize(
    ("location", "gets_it"),
    [("https://hub.test/x", True), ("http://hub.test/x", False), ("https://files.test/x", False)],
)
def test_only_the_hub_itself_gets_the_token_and_only_as_safely_as_before(
    monkeypatch: pytest.MonkeyPatch, location: str, gets_it: bool
) -> None:
    from huggingface_hub import HfFileMetadata

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    found = HfFileMetadata(commit_hash=None, etag="a", location=location, size=1, xet_file_data=None)
    assert ("authorization" in _source("https://hub.test/org/x", found)[1]) is gets_it


@pytest.mark.parametrize("token", ["hf_another", f"{TOKEN}\nX", f"{TOKEN}é"])
def test_a_token_that_may_not_or_is_no_token(hub: LoopbackHub, tmp_path: Path, token: str) -> None:
    (found,) = find_in_subprocess(hub, tmp_path, "hf:org/gated@main", HF_TOKEN=token)
    assert found["error"] == MEMBERS_READ


def test_a_token_that_a_library_puts_into_its_error_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    told = from_hub_error(parse_reference("hf:org/x@main"), ValueError(f"Illegal header value b'Bearer {TOKEN}'"))
    assert told.values["hint"] == "hf:org/x@main: ValueError: Illegal header value b'Bearer (token)'"


def test_a_hub_that_refuses_the_token_itself(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.faults.append(Fault("org/sentiment", 401, {"X_Error_Message": "Invalid credentials in Authorization header"}))
    (found,) = find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main", HF_TOKEN=TOKEN)
    assert "The Hub refused the token. 1. Make a new one" in found["hint"]


def test_too_many_requests(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.faults.append(Fault("api/models/org/sentiment", 429, {"Retry_After": "120"}))
    (found,) = find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main")
    assert (found["error"], found["retry_after_s"]) == (f"{MEMBERS_READ} Try again in 2 minutes.", 120)
    assert "1. Wait 2 minutes" in found["hint"]
    assert len(hub.requests) == 1


def test_a_hub_in_trouble(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.faults.append(Fault("org/sentiment", 503))
    (found,) = find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main")
    assert "The Hub has trouble itself" in found["hint"]


@pytest.mark.parametrize(
    ("path", "status", "hint"),
    [
        ("api/models/org/sentiment", 423, "The Hub refuses it (HfHubHTTPError: Client error '423 Locked'"),
        ("model.safetensors", 451, "The Hub may not give it away here for legal reasons. 1. Read why at "),
    ],
)
def test_a_hub_that_refuses_otherwise(hub: LoopbackHub, tmp_path: Path, path: str, status: int, hint: str) -> None:
    hub.faults.append(Fault(path, status))
    (found,) = find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main")
    assert found["error"] == MEMBERS_READ
    assert found["hint"].startswith(f"hf:org/sentiment@main: {hint}")
    assert " 2. " in found["hint"]


@pytest.mark.parametrize(
    ("name", "wrong", "hint"),
    [
        ("model.safetensors", {"size": 12_345}, "The file model.safetensors arrived damaged"),
        ("model.safetensors", {"size": 10}, "The file model.safetensors arrived damaged"),
        ("model.safetensors", {"size": "x"}, "isn't a Hub (NotAHubError: a file called model.safetensors of x bytes)"),
        ("model.safetensors", {"oid": "0" * 40}, "The file model.safetensors arrived damaged"),
        ("config.json", {"oid": "0" * 40}, "The file config.json arrived damaged"),
        ("config.json", {"path": "../config.json"}, "isn't a Hub (NotAHubError: a file called ../config.json"),
    ],
)
def test_a_list_of_files_that_was_wrong_is_forgotten(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, wrong: dict[str, object], hint: str
) -> None:
    right = loopback_hub.entry_of

    def entry(repository: Repository, file: str) -> dict[str, object]:
        told = right(repository, file)
        return told | wrong | ({"lfs": None} if "size" in wrong else {}) if file == name else told

    with monkeypatch.context() as patch:
        patch.setattr(loopback_hub, "entry_of", entry)
        (before,) = find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main")
    assert before["error"] == MEMBERS_READ
    assert hint in before["hint"]
    (after,) = find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main")
    assert "shown" in after


@pytest.mark.parametrize(("status", "headers"), [(503, {}), (429, {"Retry_After": "1"})])
def test_a_hub_in_trouble_for_a_moment(hub: LoopbackHub, tmp_path: Path, status: int, headers: dict[str, str]) -> None:
    hub.faults.append(Fault("resolve", status, headers, times=2))
    (found,) = find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main")
    assert "shown" in found


def test_no_hub_at_all(hub: LoopbackHub, tmp_path: Path) -> None:
    (found,) = find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main", HF_ENDPOINT="http://127.0.0.1:9")
    assert found["error"] == MEMBERS_READ
    assert "The Hub at http://127.0.0.1:9 can't be reached" in found["hint"]


def test_the_login_of_a_mirror_is_not_told(hub: LoopbackHub, tmp_path: Path) -> None:
    (found,) = find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main", HF_ENDPOINT="http://ada:secret@127.0.0.1:9")
    assert "The Hub at http://127.0.0.1:9 can't be reached" in found["hint"]
    assert "secret" not in str(found)


def test_a_proxy_that_cannot_be_used_is_told_and_what_is_cached_needs_none(hub: LoopbackHub, tmp_path: Path) -> None:
    pinned = f"hf:org/sentiment@{hub.repositories['org/sentiment'].sha}"
    find_in_subprocess(hub, tmp_path, pinned)
    cached, away = find_in_subprocess(
        hub, tmp_path, pinned, "hf:org/classifier@main", ALL_PROXY="socks5://127.0.0.1:9", NO_PROXY=""
    )
    assert "shown" in cached
    assert "1. Unset ALL_PROXY, or for a SOCKS proxy install the package socksio." in away["hint"]


def test_errors_on_the_way_are_told_apart() -> None:
    import httpx2

    def hint(error: Exception) -> str:
        return str(from_hub_error(parse_reference("hf:org/x@main"), error).values["hint"])

    assert "The proxy lets nothing through" in hint(httpx2.ProxyError("407 Proxy Authentication Required"))
    assert "isn't a Hub" in hint(httpx2.TooManyRedirects("Exceeded maximum allowed redirects."))
    assert "HF_TOKEN has characters" in hint(UnicodeEncodeError("ascii", "hf_é", 3, 4, "ordinal not in range(128)"))
    assert "can't be reached (ConnectError: name unknown)" in hint(httpx2.ConnectError("name unknown"))


def test_a_cache_that_another_tool_filled(hub: LoopbackHub, tmp_path: Path) -> None:
    """There the Hub's list of files is missing."""
    find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main")
    (listed,) = (tmp_path / "hub").glob("models--org--sentiment/trees")
    shutil.rmtree(listed)
    (offline,) = find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main", HF_HUB_OFFLINE="1")
    assert "shown" in offline
    (away,) = find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main", HF_ENDPOINT="http://127.0.0.1:9")
    assert "The Hub can't be asked which files it has." in away["hint"]
    (again,) = find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main")
    assert "shown" in again


def test_offline_what_is_cached_is_used_and_the_rest_is_told(hub: LoopbackHub, tmp_path: Path) -> None:
    find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main")
    hub.requests.clear()
    cached, missing = find_in_subprocess(
        hub, tmp_path, "hf:org/sentiment@main", "hf:org/classifier@main", HF_HUB_OFFLINE="1"
    )
    assert "shown" in cached
    assert "HF_HUB_OFFLINE forbids fetching it" in missing["hint"]
    assert hub.requests == []


def test_a_cut_connection_is_resumed_where_it_was_cut(hub: LoopbackHub, tmp_path: Path) -> None:
    """Files are written in parts of 1 MiB."""
    large = tmp_path / "large"
    large.mkdir()
    (large / "config.json").write_text("{}", encoding="utf-8")
    (large / "model.safetensors").write_bytes(bytes(range(256)) * 100_000)
    hub.add("org/large", large)
    hub.faults.append(Fault("/org/large/model.safetensors", cut_after=12_000_000, times=2))
    (found,) = find_in_subprocess(hub, tmp_path, "hf:org/large@main")
    assert found["size"] == 25_600_000
    assert found["shares"] == sorted(found["shares"])
    assert found["last"] == [1.0]
    assert hub.ranges == ["bytes=11534336-", "bytes=23068672-"]


def test_a_damaged_file_is_thrown_away_and_fetched_anew(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.faults.append(Fault("/org/sentiment/model.safetensors", damaged=True, times=1))
    damaged, again = find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main", "hf:org/sentiment@main")
    assert damaged["error"] == MEMBERS_READ
    assert "The file model.safetensors arrived damaged" in damaged["hint"]
    assert "shown" in again


def test_what_a_task_has_no_use_for_is_refused_before_its_weights_are_fetched(hub: LoopbackHub, tmp_path: Path) -> None:
    wrong, fine, pickled, painter = find_in_subprocess(
        hub,
        tmp_path,
        "sentiment hf:org/classifier@main",
        "classify hf:org/classifier@main",
        "hf:org/pickled@main",
        "imagine hf:org/sentiment@main",
    )
    assert wrong["error"] == MEMBERS_READ
    assert "It is ViTForImageClassification, but the command takes text classification" in wrong["hint"]
    assert "shown" in fine
    assert "no weights in safetensors form" in pickled["hint"]
    assert "It is BertForSequenceClassification, but the command takes text-to-image" in painter["hint"]
    fetched = [request for request in hub.requests if "/org/sentiment/" in request or "pytorch_model" in request]
    assert not [request for request in fetched if "safetensors" in request or ".bin" in request]


def test_only_classify_takes_torchvision(hub: LoopbackHub, tmp_path: Path) -> None:
    (found,) = find_in_subprocess(hub, tmp_path, "sentiment torchvision:resnet50")
    assert "The command takes text classification models" in found["hint"]


def test_two_processes_fetch_the_same_model_at_once(hub: LoopbackHub, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(find_in_subprocess, hub, tmp_path, "hf:org/emoji@main") for _ in range(2)]
    assert [run.result()[0]["last"] for run in runs] == [[1.0]] * 2
    assert hub.requests.count("GET /org/emoji/unet/diffusion_pytorch_model.safetensors") == 1
