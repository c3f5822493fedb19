"""Weights that are here, not here, half here, and behind a hub: found, fetched or refused with the ways out.

No model is loaded in this file. Hub tests run in a process of their own, because huggingface_hub reads its
settings from the environment once.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from ecgbench.cards import TextCard
from ecgbench.catalogue import load_card
from ecgbench.errors import EcgbenchError
from ecgbench.text import weights
from ecgbench.text.embed import check_available
from ecgbench.text.weights import missing_files, require_here, weights_identity

CARD = load_card(TextCard, "medllama3-jp")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CHECK = """
import sys, time
from ecgbench.cards import TextCard
from ecgbench.catalogue import load_card
from ecgbench.errors import EcgbenchError
from ecgbench.text.embed import check_available
from ecgbench.text.weights import fetch, weights_identity
card = load_card(TextCard, sys.argv[2])
start = time.monotonic()
try:
    if sys.argv[1] == "check":
        print(check_available(card))
    if sys.argv[1] == "fetch":
        print(fetch(card, None))
    print(weights_identity(card, None))
except EcgbenchError as error:
    print("refused", error)
print(time.monotonic() - start)
print([name for name in ("torch", "transformers") if name in sys.modules])
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path / "cache"))
    for name in list(os.environ):
        if name.startswith(("HF_", "TRANSFORMERS_")) or "proxy" in name.lower():
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


def _ask(what: str, name: str = "medllama3-jp", **env: str) -> list[str]:
    """The printed lines of CHECK: what came of it, [identity,] seconds, heavy modules."""
    done = subprocess.run(
        [sys.executable, "-c", CHECK, what, name],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **env},
    )
    return done.stdout.strip().splitlines()


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set, so the hub was not asked"),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "http://127.0.0.1:9 could not be asked"),
    ],
)
def test_weights_that_cannot_be_fetched(env: dict[str, str], reason: str) -> None:
    started = time.monotonic()
    message, _, heavy = _ask("check", **env)
    assert time.monotonic() - started < 10
    assert heavy == "[]"
    for part in (
        "refused text tower medllama3-jp", "EQUES/MedLLama3-JP-v2", "16.1 GB", "licence: Meta Llama 3",
        reason, "HF_HOME", "--text-path DIR", "--text-pack FILE", "--text use-multilingual",
    ):  # fmt: skip
        assert part in message


@pytest.mark.slow
def test_a_hub_that_never_answers_costs_five_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        message, seconds, _ = _ask("check", HF_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "did not answer within 5 s" in message or "could not be asked" in message
    assert 4 < float(seconds) < 8


def test_a_request_that_hangs_is_left_behind() -> None:
    started = time.monotonic()
    assert isinstance(weights._within(0.1, lambda: time.sleep(2)), TimeoutError)
    assert time.monotonic() - started < 1
    assert isinstance(weights._within(1, lambda: 1 / 0), ZeroDivisionError)
    assert weights._within(1, lambda: 1) is None


class _Hub(BaseHTTPRequestHandler):
    """As much of a hub as one small model needs; the model is no model, since nothing here loads it."""

    files: ClassVar[dict[str, bytes]] = {
        "config.json": b"{}",
        "tokenizer.json": b"{}",
        "model.safetensors": b"0" * 1000,
        "pytorch_model.bin": b"never wanted beside safetensors",
        "original/consolidated.pth": b"never wanted",
    }
    asked: ClassVar[list[str]] = []
    refuse: int | None = None
    gated: str = "nothing"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        status = 403 if self.path.endswith(self.gated) else self.refuse
        if status is not None:
            self._send(status, b"", {"X-Error-Code": {403: "GatedRepo", 404: "RepoNotFound"}[status]})
        elif "/resolve/" in self.path:
            name = self.path.partition("/resolve/")[2].partition("/")[2]
            self._send(200 if name in self.files else 404, self.files.get(name, b""), {"ETag": f'"{hash(name):x}"'})
        elif "/tree/" in self.path:
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": f"{hash(name):x}"}
                for name, content in self.files.items()
            ]
            self._send(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})
        else:
            about = {
                "id": CARD.hub_id, "sha": COMMIT, "siblings": [{"rfilename": name} for name in self.files],
                "private": False, "downloads": 0, "likes": 0, "tags": [],
            }  # fmt: skip
            self._send(200, json.dumps(about).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {"X-Repo-Commit": COMMIT, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[tuple[str, type[_Hub]]]:
    handler = type("Hub", (_Hub,), {"asked": [], "refuse": None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_early_check_asks_the_hub_once_and_fetches_nothing(hub: tuple[str, type[_Hub]], tmp_path: Path) -> None:
    lines = _ask("check", HF_ENDPOINT=hub[0])
    assert lines[0] == "None", lines
    assert hub[1].asked == ["HEAD /EQUES/MedLLama3-JP-v2/resolve/main/config.json"]
    assert not list((tmp_path / "hf").glob("**/*.safetensors"))


@pytest.mark.parametrize(
    ("status", "reason"),
    [(403, "accept them on its page and set HF_TOKEN"), (404, "the hub does not know that model")],
)
def test_a_hub_that_refuses(hub: tuple[str, type[_Hub]], status: int, reason: str) -> None:
    hub[1].refuse = status
    message = _ask("check", HF_ENDPOINT=hub[0])[0]
    assert message.startswith("refused") and reason in message


def test_fetched_once_then_found_offline_and_remembered_without_weights(
    hub: tuple[str, type[_Hub]], tmp_path: Path
) -> None:
    folder, identity, *_ = _ask("fetch", HF_ENDPOINT=hub[0])
    assert identity == f"EQUES/MedLLama3-JP-v2@{COMMIT}"
    assert sorted(path.name for path in Path(folder).iterdir()) == [
        "config.json", "model.safetensors", "tokenizer.json",
    ]  # fmt: skip
    assert _ask("fetch", HF_HUB_OFFLINE="1")[:2] == [folder, identity]
    elsewhere = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty")}
    assert _ask("check", **elsewhere)[0].startswith("refused")
    assert _ask("identity", **elsewhere)[0] == identity


def test_a_download_that_fails_on_the_way(hub: tuple[str, type[_Hub]]) -> None:
    hub[1].gated = "model.safetensors"
    message = _ask("fetch", HF_ENDPOINT=hub[0])[0]
    assert message.startswith("refused") and "accept them on its page" in message
    assert _ask("check", HF_HUB_OFFLINE="1")[0].startswith("refused")


def test_a_half_fetched_model_is_not_taken_for_a_whole_one(hub: tuple[str, type[_Hub]]) -> None:
    folder = Path(_ask("fetch", HF_ENDPOINT=hub[0])[0])
    (folder / "model.safetensors").unlink()
    message = _ask("check", HF_HUB_OFFLINE="1")[0]
    assert "are incomplete in the local Hugging Face cache (no the weights (model.safetensors" in message


def test_controls_and_embedded_towers_need_no_weights_of_their_own() -> None:
    for name in ("random", "char-ngram", "use-multilingual"):
        require_here(load_card(TextCard, name), None)
    assert weights_identity(load_card(TextCard, "random"), None) is None


def test_a_pinned_commit_needs_no_look_up() -> None:
    pinned = CARD.model_copy(update={"revision": COMMIT})
    assert weights_identity(pinned, None) == f"EQUES/MedLLama3-JP-v2@{COMMIT}"


# A folder given with --text-path.


def _folder(path: Path, **files: str) -> Path:
    path.mkdir(exist_ok=True)
    for name, content in files.items():
        (path / name.replace("__", ".")).write_text(content)
    return path


def test_a_folder_that_is_whole(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "m", config__json="{}", model__safetensors="w", vocab__txt="t")
    assert missing_files(folder) == []
    check_available(CARD, text_path=folder)


@pytest.mark.parametrize(
    ("absent", "named"),
    [
        ("config.json", "lacks config.json"),
        ("model.safetensors", "lacks the weights"),
        ("vocab.txt", "a tokenizer"),
    ],
)
def test_a_folder_that_lacks_something_is_refused_naming_it(tmp_path: Path, absent: str, named: str) -> None:
    folder = _folder(tmp_path / "m", config__json="{}", model__safetensors="w", vocab__txt="t")
    (folder / absent).unlink()
    with pytest.raises(EcgbenchError, match=f"not hold a whole model for text tower medllama3-jp: .*{named}"):
        check_available(CARD, text_path=folder)


def test_no_folder_at_all(tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError, match=r"--text-path .*absent is no folder"):
        check_available(CARD, text_path=tmp_path / "absent")


def test_every_shard_of_an_index_is_wanted(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "m", config__json="{}", tokenizer__json="{}")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "1.safetensors", "b": "2.safetensors", "c": "1.safetensors"}}))
    (folder / "1.safetensors").write_text("x")
    assert missing_files(folder) == ["2.safetensors"]
    (folder / "2.safetensors").write_text("x")
    assert missing_files(folder) == []
    for wrong in ("[]", "{", '{"weight_map": {"a": "../x"}}', '{"weight_map": {"a": 1}}'):
        index.write_text(wrong)
        with pytest.raises(EcgbenchError, match=r"index\.json"):
            missing_files(folder)


def test_the_identity_of_a_folder_is_its_content_not_its_place(tmp_path: Path) -> None:
    files: dict[str, str] = {"config__json": "{}", "model__safetensors": "w", "vocab__txt": "t"}
    one, two = _folder(tmp_path / "one", **files), _folder(tmp_path / "two", **files)
    _folder(two, README__md="prose")
    identity = weights_identity(CARD, one)
    assert identity == weights_identity(CARD, two) and str(identity).startswith("files:")
    for name, content in (("model__safetensors", "v"), ("vocab__txt", "s"), ("config__json", "{ }")):
        assert weights_identity(CARD, _folder(tmp_path / name, **{**files, name: content})) != identity


def test_large_files_are_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "MEMO_FROM_BYTES", 0)
    folder = _folder(tmp_path / "m", config__json="{}", model__safetensors="w", vocab__txt="t")
    identity = weights_identity(CARD, folder)
    with monkeypatch.context() as patch:
        patch.setattr(weights, "hash_file", lambda path: pytest.fail(f"{path} was read again"))
        assert weights_identity(CARD, folder) == identity
    (folder / "model.safetensors").write_text("ww")
    assert weights_identity(CARD, folder) != identity
