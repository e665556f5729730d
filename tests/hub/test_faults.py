"""Test that what goes wrong on the way to a model never hangs, is never taken for good, and is told well."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bot.errors import JobCancelled, ModelUnavailable
from bot.hub.client import wait_asked_s
from bot.hub.download import process as fetch_process
from bot.hub.download.process import fetch_apart
from bot.hub.model_filter import ANYTHING
from bot.hub.reference import ModelReference, parse_reference
from bot.tasks.registry import TASKS
from tests.hub.finding import TOKEN, find_in_subprocess, hub_environment
from tests.hub.loopback_hub import Fault, LoopbackHub, entry_of, serve_hub
from tests.models.tiny_models import tiny_sentiment

MEMBERS_READ = "This model isn't available on this server yet."
WEIGHTS = "model.safetensors"
HOUR = {"Retry_After": "3600"}


@pytest.fixture(scope="module")
def sentiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sentiment(tmp_path_factory.mktemp("repositories") / "sentiment")


@pytest.fixture
def hub(sentiment: Path) -> Iterator[LoopbackHub]:
    with serve_hub() as hub:
        hub.add("org/sentiment", sentiment)
        yield hub


class Finder:
    """Find copies of one model, each under its own name, in one process."""

    def __init__(self, hub: LoopbackHub, folder: Path, home: Path) -> None:
        self.hub, self._folder, self._home = hub, folder, home

    def __call__(self, **faults: Fault) -> dict[str, dict[str, Any]]:
        """Let each repository have its fault; return what became of each."""
        for name, fault in faults.items():
            self.hub.add(f"org/{name}", self._folder)
            fault.path = f"org/{name}{fault.path}"
            self.hub.faults.append(fault)
        found = find_in_subprocess(self.hub, self._home, *(f"hf:org/{name}@main" for name in faults))
        return dict(zip(faults, found, strict=True))


@pytest.fixture
def find(hub: LoopbackHub, sentiment: Path, tmp_path: Path) -> Finder:
    return Finder(hub, sentiment, tmp_path)


def test_nobody_sleeps_for_an_hour_because_the_hub_says_so(find: Finder) -> None:
    started = time.monotonic()
    found = find(
        asked=Fault("/revision", 429, HOUR),
        listed=Fault("/tree", 429, HOUR),
        headed=Fault("/resolve", 429, HOUR),
        given=Fault(f"/{WEIGHTS}", 429, HOUR),
        limited=Fault("/resolve", 429, {"RateLimit": '"api";r=0;t=3600'}),
        busy=Fault("/resolve", 503, HOUR),
    )
    for name, answer in found.items():
        assert answer["error"] == f"{MEMBERS_READ} Try again in 60 minutes.", name
        assert answer["retry_after_s"] == 3600
    assert time.monotonic() - started < 30
    assert "1. Wait 60 minutes" in found["given"]["hint"]
    assert len([line for line in find.hub.requests if "asked" in line]) == 1


def test_what_answers_is_no_hub(find: Finder) -> None:
    page = b"<html><h1>Log in to this network</h1></html>"
    found = find(
        html=Fault("", 200, {"Content_Type": "text/html"}, page),
        cut_json=Fault("/revision", 200, {}, b'{"id": "org/cut_json", "sha": '),
        list_json=Fault("/revision", 200, {}, b"[]"),
        empty_json=Fault("/revision", 200, {}, b"{}"),
        tree_html=Fault("/tree", 200, {"Content_Type": "text/html"}, page),
        tree_error=Fault("/tree", 200, {}, b'{"error": "Sorry"}'),
        file_html=Fault("/resolve", 200, {"Content_Type": "text/html"}, page),
    )
    for name, answer in found.items():
        assert answer["error"] == MEMBERS_READ, name
        assert "isn't a Hub" in answer["hint"], name
        assert "HF_ENDPOINT" in answer["hint"]


def test_no_list_of_files_leads_out_of_the_cache(find: Finder, tmp_path: Path) -> None:
    victim = tmp_path / "hub" / "mine.safetensors"
    victim.parent.mkdir()
    victim.write_bytes(b"mine")

    def listed(path: str, oid: str = "a" * 40) -> Fault:
        files = [(path, oid), ("config.json", "b" * 40), (WEIGHTS, "c" * 40)]
        tree = [{"type": "file", "path": path, "size": 4, "oid": oid} for path, oid in files]
        return Fault("/tree", 200, body=json.dumps(tree).encode())

    found = find(
        up=listed("../../../mine.safetensors"),
        deep=listed("unet/../../../../mine.safetensors"),
        absolute=listed(str(victim)),
        windows=listed("..\\..\\mine.safetensors"),
        drive=listed("C:/mine.safetensors"),
        content=listed("other.safetensors", "../../mine"),
    )
    for name, answer in found.items():
        assert "isn't a Hub (NotAHubError: a file called " in answer["hint"], name
    assert victim.read_bytes() == b"mine"
    assert not list(tmp_path.rglob(WEIGHTS))


def test_a_configuration_that_is_none_is_not_the_hubs_fault(hub: LoopbackHub, tmp_path: Path) -> None:
    for name, text in (("cut", '{"architectures": ['), ("list", "[1]"), ("odd", '{"architectures": {"a": 1}}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(text, encoding="utf-8")
        hub.add(f"org/{name}", tmp_path / name)
    found = find_in_subprocess(hub, tmp_path, *(f"sentiment hf:org/{name}@main" for name in ("cut", "list", "odd")))
    assert [answer["error"] for answer in found] == [MEMBERS_READ] * 3
    assert not [answer for answer in found if "a Hub" in answer["hint"] or "ended" in answer["hint"]]


def test_files_that_do_not_arrive_whole(find: Finder, tmp_path: Path) -> None:
    found = find(
        cut=Fault(f"/{WEIGHTS}", cut_after=100),
        short=Fault(f"/{WEIGHTS}", cut_after=100, honest=True),
        damaged=Fault(f"/{WEIGHTS}", damaged=True),
        gone=Fault(f"/{WEIGHTS}", 404),
    )
    assert {answer["error"] for answer in found.values()} == {MEMBERS_READ}
    assert "broke off again and again" in found["cut"]["hint"]
    for name in ("short", "damaged"):
        assert "arrived damaged" in found[name]["hint"]
    begun = [path.relative_to(tmp_path).parts[1] for path in tmp_path.rglob("*.incomplete")]
    assert "models--org--damaged" not in begun
    assert {"models--org--cut", "models--org--short"} <= set(begun), "the next try goes on from there"
    assert not list(tmp_path.rglob(WEIGHTS))
    find.hub.faults.clear()
    assert all("shown" in answer for answer in find(**{name: Fault("nothing") for name in found}).values())


def test_a_connection_that_is_cut_again_and_again_gets_there(hub: LoopbackHub, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.mkdir()
    (large / "config.json").write_text("{}", encoding="utf-8")
    (large / WEIGHTS).write_bytes(os.urandom(9_000_000))
    hub.add("org/large", large)
    hub.faults.append(Fault(f"/org/large/{WEIGHTS}", cut_after=2_200_000))
    (found,) = find_in_subprocess(hub, tmp_path / "home", "hf:org/large@main")
    assert found["size"] == 9_000_000
    assert len(hub.ranges) == 4


def test_many_files_at_once(hub: LoopbackHub, sentiment: Path, tmp_path: Path) -> None:
    sharded = shutil.copytree(sentiment, tmp_path / "sharded")
    for number in range(20):
        (sharded / f"model-{number:05}-of-00020.safetensors").write_bytes(os.urandom(50_000))
    hub.add("org/sharded", sharded)
    hub.faults += [Fault("00007", 503, times=2), Fault("00011", cut_after=7, times=2)]
    (found,) = find_in_subprocess(hub, tmp_path / "home", "hf:org/sharded@main")
    assert found["size"] > 1_000_000
    assert hub.requests.count("GET /api/models/org/sharded/revision/main") == 1


def test_every_name_of_a_commit_leads_to_it(hub: LoopbackHub, tmp_path: Path) -> None:
    sha = hub.repositories["org/sentiment"].sha
    hub.moved["old/name"] = "org/sentiment"
    references = [f"org/sentiment@{revision}" for revision in ("main", "v1.0", sha, sha[:8])] + ["old/name"]
    found = find_in_subprocess(hub, tmp_path, *(f"hf:{reference}" for reference in references))
    assert [answer["shown"].split("@")[1] for answer in found] == [sha[:7]] * 5
    weights = f"GET /org/sentiment/{WEIGHTS}"
    assert hub.requests.count(weights) == 2, "once for each name of the repository"


@pytest.mark.parametrize("name", ["org/мода", "org/a--b", "org/.hidden", "org/x.git", "a" * 97])
def test_names_that_no_repository_has(hub: LoopbackHub, tmp_path: Path, name: str) -> None:
    (found,) = find_in_subprocess(hub, tmp_path, f"hf:{name}@main")
    assert found["error"] == MEMBERS_READ
    assert hub.requests == []


def test_the_token_follows_no_redirect_to_another_server(hub: LoopbackHub, tmp_path: Path) -> None:
    elsewhere = {"Location": f"{hub.files_url}/org/sentiment/config.json"}
    commit = {"X_Repo_Commit": hub.repositories["org/sentiment"].sha, "ETag": '"a"', "X_Linked_Size": "3"}
    hub.add("org/away", hub.repositories["org/sentiment"].folder)
    hub.faults += [Fault("org/sentiment/resolve", 302, elsewhere | commit), Fault("models/org/away", 302, elsewhere)]
    find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main", "hf:org/away@main", HF_TOKEN=TOKEN)
    assert ("_HubHandler", TOKEN) in hub.tokens
    assert {token for server, token in hub.tokens if server == "_FileHandler"} == {""}


@pytest.mark.parametrize("home", ["/proc/nothing", "file/home"])
def test_a_cache_that_cannot_be_written(hub: LoopbackHub, tmp_path: Path, home: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (found,) = find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main", HF_HOME=str(tmp_path / home))
    assert found["error"] == MEMBERS_READ
    assert "set HF_HOME to a folder where it may" in found["hint"]


def test_a_cache_that_is_read_only_but_whole(hub: LoopbackHub, tmp_path: Path) -> None:
    reference = f"hf:org/sentiment@{hub.repositories['org/sentiment'].sha}"
    find_in_subprocess(hub, tmp_path, reference)
    (found,) = find_in_subprocess(hub, tmp_path, reference, HUBCORD_CACHE="/proc/nothing")
    assert "shown" in found


# In this process: huggingface_hub read this process's environment already, the one that fetches reads it anew.


@pytest.fixture
def reference(hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelReference:
    for name, value in hub_environment(hub, tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    return parse_reference("hf:org/sentiment@main")


@pytest.mark.parametrize("fault", [Fault(f"/{WEIGHTS}", trickles=True), Fault("/revision", silent_s=10.0)])
def test_a_download_that_stands_still_is_given_up(
    hub: LoopbackHub, reference: ModelReference, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(fetch_process, "STALL_S", 2.0)
    hub.faults.append(fault)
    with pytest.raises(ModelUnavailable) as error:
        fetch_apart(reference, ANYTHING, lambda _done, _total: None)
    assert "Nothing came for 2 seconds" in error.value.values["hint"]


def test_who_listens_can_stop_a_download_that_hangs(hub: LoopbackHub, reference: ModelReference) -> None:
    hub.faults.append(Fault(f"/{WEIGHTS}", trickles=True))
    before = psutil.Process().children()

    def stop(_done: int, total: int) -> None:
        if total:
            raise JobCancelled("Cancelled.")

    with pytest.raises(JobCancelled):
        fetch_apart(reference, ANYTHING, stop)
    assert psutil.Process().children() == before


def test_a_signal_to_the_whole_group_leaves_downloads_alone(hub: LoopbackHub, reference: ModelReference) -> None:
    hub.faults.append(Fault(f"/{WEIGHTS}", trickles=True))
    before, told = set(psutil.Process().children()), []

    def terminate(_done: int, total: int) -> None:
        told.append(total)
        if len(told) > 3 and any(told[:-1]):
            raise JobCancelled("Cancelled.")
        if total:
            (child,) = set(psutil.Process().children()) - before
            child.terminate()

    with pytest.raises(JobCancelled):
        fetch_apart(reference, ANYTHING, terminate)


def test_a_download_whose_process_is_killed(hub: LoopbackHub, reference: ModelReference) -> None:
    hub.faults.append(Fault(f"/{WEIGHTS}", trickles=True))
    before = set(psutil.Process().children())

    def kill(_done: int, total: int) -> None:
        if total:
            (child,) = set(psutil.Process().children()) - before
            child.kill()

    with pytest.raises(ModelUnavailable) as error:
        fetch_apart(reference, ANYTHING, kill)
    assert "The process that fetched it ended (-9)" in error.value.values["hint"]


@pytest.mark.usefixtures("reference")
def test_who_waits_for_the_download_of_another_process_sees_it(hub: LoopbackHub, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.mkdir()
    (large / "config.json").write_text('{"model_type": "x"}', encoding="utf-8")
    (large / WEIGHTS).write_bytes(os.urandom(6_000_000))
    hub.add("org/large", large)
    hub.slow_s = 0.5
    seen: list[list[int]] = [[], []]

    def fetch(number: int) -> None:
        fetch_apart(parse_reference("hf:org/large@main"), ANYTHING, lambda done, _total: seen[number].append(done))

    threads = [threading.Thread(target=fetch, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hub.requests.count(f"GET /org/large/{WEIGHTS}") == 1
    assert all(len(set(done)) > 3 and done[-1] > 6_000_000 for done in seen)


def test_a_disk_without_room_is_not_filled(hub: LoopbackHub, tmp_path: Path) -> None:
    config = entry_of(hub.repositories["org/sentiment"], "config.json")
    tree = [config, {"type": "file", "path": WEIGHTS, "size": 10**18, "oid": "a" * 40}]
    hub.faults.append(Fault("/tree", 200, body=json.dumps(tree).encode()))
    (found,) = find_in_subprocess(hub, tmp_path, "hf:org/sentiment@main")
    assert "The disk is full" in found["hint"]
    assert not [line for line in hub.requests if WEIGHTS in line]


def test_what_killed_processes_left_is_removed(reference: ModelReference, tmp_path: Path) -> None:
    blobs = tmp_path / "home" / "hub" / "models--org--sentiment" / "blobs"
    blobs.mkdir(parents=True)
    for name, age_s in (("old", 7_200), ("new", 60)):
        (blobs / f"{name}.incomplete").write_bytes(b"half")
        then = time.time() - age_s
        os.utime(blobs / f"{name}.incomplete", (then, then))
    fetch_apart(reference, ANYTHING, lambda _done, _total: None)
    assert [path.name for path in blobs.glob("*.incomplete")] == ["new.incomplete"]


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "²"}, None),
        ({"Retry-After": "9" * 30}, 3600),
        ({"ratelimit": '"api";r=0;t=99999999'}, 3600),
        ({"ratelimit": '"api";r=0;t=55'}, 55),
        ({"ratelimit": '"api";r=3;t=55'}, None),
        ({}, None),
    ],
)
def test_how_long_a_response_asks_to_wait(headers: dict[str, str], wait_s: float | None) -> None:
    import httpx2

    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert wait_asked_s(httpx2.Response(429, headers=encoded)) == wait_s


def test_what_every_task_accepts_can_be_sent_to_the_process_that_fetches() -> None:
    for task in TASKS.values():
        assert pickle.dumps(task.model_filter)
