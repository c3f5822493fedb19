"""`ecgbench text cache`: what it shows, what it removes, and what it never removes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from ecgbench.cards import PromptSet, TextCard
from ecgbench.catalogue import load_card
from ecgbench.cli.main import run_command
from ecgbench.findings import label_bank
from ecgbench.text import cache_care
from ecgbench.text.cache import VectorCache, prompt_key, tower_identity
from ecgbench.text.cache_care import join_small, remove, survey, unfinished_files
from ecgbench.text.embed import embed_prompts
from ecgbench.text.imported import imported_weights, remember_import
from ecgbench.text.prompts import Prompt, label_prompts
from ecgbench.text.vectorfile import read_vectors, write_vectors
from tests.unit.test_cli import HEAVY, imported_by

CHAR, RANDOM, LLAMA = (load_card(TextCard, name) for name in ("char-ngram", "random", "medllama3-jp"))
PROMPTS = label_prompts(load_card(PromptSet, "paper"), label_bank(), "ja")[:8]
DAY = 86400
NOON = 1_700_000_000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "text"


@pytest.fixture
def filled(cache: Path) -> Path:
    """`char-ngram` with 8 prompts in 4 files, `random` with 2 in one."""
    for start in range(0, 8, 2):
        embed_prompts(CHAR, PROMPTS[start : start + 2])
    embed_prompts(RANDOM, PROMPTS[:2])
    return cache


def ask(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    code = run_command(["text", "cache", *options])
    return code, *capsys.readouterr()


def shards(cache: Path, name: str = "char-ngram") -> list[Path]:
    return sorted(cache.glob(f"{name}-*/*.safetensors"))


def age(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def held(prompts: list[Prompt] = PROMPTS) -> int:
    return len(VectorCache(CHAR, None).find(prompt_key(CHAR, prompt) for prompt in prompts))


def test_what_is_shown(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ask(capsys)
    assert code == 0
    line = next(line for line in out.splitlines() if line.startswith("char-ngram"))
    assert line.split() == ["char-ngram", "—", "--text", "8", "4", "0.0", time.strftime("%Y-%m-%d"), "0"]
    _, out, _ = ask(capsys, "--json", "--tower", "random")
    (told,) = json.loads(out)["towers"]
    assert (told["tower"], told["prompts"], told["files"], told["dim"]) == ("random", 2, 1, RANDOM.dim)
    assert told["bytes"] == shards(filled, "random")[0].stat().st_size


def test_an_empty_cache(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(capsys)[:2] == (0, f"{cache} holds no vectors.\n")
    assert json.loads(ask(capsys, "--json")[1])["towers"] == []
    assert ask(capsys, "--prune")[0] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tower", "swallow"], "the cache has no vectors of 'swallow': there are char-ngram, random."),
        (["--older", "3"], "--older was given without --prune"),
        (["--all"], "--all was given without --prune"),
        (["--yes"], "--yes was given without --prune"),
        (["--prune", "--yes"], "--yes was given, but no vectors to remove: add --older DAYS, --tower NAME or --all."),
        (["--prune", "--all", "--tower", "random"], "--all takes everything"),
        (["--prune", "--older", "-1"], "--older -1 is no number of days"),
        (["--prune", "--older", "nan"], "--older nan is no number of days"),
    ],
)
def test_a_wrong_request(filled: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str) -> None:
    code, out, err = ask(capsys, *options)
    assert code == 2 and out == "" and message in err
    assert len(shards(filled)) == 4


def test_damaged_and_unfinished_files_are_shown_and_go(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, *_ = shards(filled)
    first.write_bytes(first.read_bytes()[:-1])
    about, vectors = read_vectors(second)
    write_vectors(second, vectors, {**about, "identity": tower_identity(CHAR, "another")})
    old, new = first.parent / ".x.safetensors.a.part", first.parent / ".y.safetensors.b.part"
    for path in (old, new):
        path.write_bytes(b"half")
    age(old, 1)
    told = json.loads(ask(capsys, "--json")[1])["towers"][0]
    assert sorted(told["damaged"]) == sorted([first.name, second.name]) and told["prompts"] == 4
    assert "removes the damaged files" in ask(capsys)[1]
    _, out, _ = ask(capsys, "--prune")
    assert "Removed 2 damaged and 1 unfinished files" in out and "No vectors were removed." in out
    assert not old.exists() and new.exists() and not first.exists() and not second.exists()
    assert held() == 4
    assert [path for path, _ in unfinished_files()] == []


def test_tidying_joins_small_files_and_keeps_every_vector(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = embed_prompts(CHAR, PROMPTS).vectors
    for minutes, path in enumerate(shards(filled)):
        os.utime(path, (NOON - 60 * minutes, NOON - 60 * minutes))
    assert "joined 4 small files to 1." in ask(capsys, "--prune")[1]
    (joined,) = shards(filled)
    assert joined.stat().st_mtime == NOON, "joining is not using"
    assert np.array_equal(embed_prompts(CHAR, PROMPTS).vectors, expected)
    assert "joined 0 small files to 0." in ask(capsys, "--prune")[1]


def test_joined_files_do_not_grow_without_end(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_care, "SHARD_VECTORS", 6)
    assert join_small(shards(filled)[0].parent) == (4, 2)  # of 6 and of 2
    assert held() == 8
    assert join_small(shards(filled)[0].parent) == (0, 0), "there is one small file, and nothing to join it with"


def test_nothing_is_joined_while_another_process_embeds(filled: Path) -> None:
    place = VectorCache(CHAR, None)
    with place.turn(["new"]):
        assert join_small(place.folder) == (0, 0)
    assert join_small(place.folder) == (4, 1)


def test_vectors_go_only_when_they_were_chosen_and_with_yes(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    age(shards(filled)[1], 100)
    for chosen, files in ((["--older", "90"], 1), (["--tower", "char-ngram"], 4), (["--all"], 5)):
        code, out, _ = ask(capsys, "--prune", "--json", *chosen)
        pruned = json.loads(out)["pruned"]
        assert code == 0 and pruned.keys() == {"vectors", "removed"} and not pruned["removed"]
        assert sum(each["prompts"] for each in pruned["vectors"]) == {1: 2, 4: 8, 5: 10}[files]
        assert len(shards(filled)) == 4 and held(PROMPTS[:2]) == 2
    assert json.loads(ask(capsys, "--prune", "--json", "--older", "90", "--yes")[1])["pruned"]["files_removed"] == 1
    assert held() == 6
    assert "Nothing was removed. The same command with --yes" in ask(capsys, "--prune", "--tower", "char-ngram")[1]
    assert "Removed:" in ask(capsys, "--prune", "--tower", "char-ngram", "--yes")[1]
    assert not list(filled.glob("char-ngram-*")) and shards(filled, "random")
    ask(capsys, "--prune", "--all", "--yes")
    assert survey() == []
    embed_prompts(CHAR, PROMPTS)
    assert held() == 8


def test_old_vectors_are_not_joined_with_younger_ones(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They would count as used lately, and never go."""
    for path in shards(filled)[:2]:
        age(path, 100)
    assert "joined 4 small files to 2." in ask(capsys, "--prune")[1]
    assert "No vectors to remove." in ask(capsys, "--prune", "--older", "200")[1]
    ask(capsys, "--prune", "--older", "90", "--yes")
    assert held() == 4


def test_a_file_that_was_used_meanwhile_stays(filled: Path) -> None:
    path = shards(filled)[0]
    age(path, 100)
    before = path.stat()
    embed_prompts(CHAR, PROMPTS)
    assert remove([(path, before)]) == 0 and path.is_file()


def test_what_cannot_be_made_again_here_is_said(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = "files:" + "0" * 64
    VectorCache(LLAMA, weights).add({"key": np.ones(4, np.float32)})
    assert json.loads(ask(capsys, "--json")[1])["towers"][0]["used_by"] == "--text-path"
    remember_import(LLAMA, weights)
    assert json.loads(ask(capsys, "--json")[1])["towers"][0]["used_by"] == "--text, imported"
    assert "no: cannot be embedded again here" in ask(capsys, "--prune", "--all")[1]
    assert imported_weights(LLAMA) == weights
    assert "Forgot the import of vectors made by files:000000000000" in ask(capsys, "--prune", "--all", "--yes")[1]
    assert imported_weights(LLAMA) is None


@pytest.mark.parametrize(
    ("change", "used_by"),
    [({"name": "gone"}, "none: no such tower here"), ({"prefix": "query: "}, "none: its card says otherwise now")],
)
def test_vectors_that_no_run_uses(
    cache: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], used_by: str
) -> None:
    VectorCache(CHAR.model_copy(update=change), None).add({"key": np.ones(4, np.float32)})
    assert json.loads(ask(capsys, "--json")[1])["towers"][0]["used_by"] == used_by


def test_looking_at_the_cache_imports_nothing_heavy(filled: Path) -> None:
    assert not imported_by("text", "cache", "--json") & set(HEAVY)
