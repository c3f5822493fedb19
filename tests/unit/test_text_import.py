"""Packs made for all that runs ask for, and imported: what a tower's name then stands for, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

from ecgbench.cards import PromptSet, TextCard
from ecgbench.catalogue import all_cards, load_card
from ecgbench.cli.main import run_command
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank
from ecgbench.text import tower
from ecgbench.text.cache import VectorCache, prompt_key, tower_identity
from ecgbench.text.embed import check_available, embed_prompts
from ecgbench.text.importing import import_pack
from ecgbench.text.pack import write_pack
from ecgbench.text.pack_prompts import Collected
from ecgbench.text.prompts import Prompt, label_prompts
from ecgbench.text.weights import weights_identity

CARD = load_card(TextCard, "medllama3-jp")
PAPER = load_card(PromptSet, "paper")
PROMPTS = label_prompts(PAPER, label_bank(), "ja")[:5]
COMMITS = ["0" * 40, "1" * 40]
HUB, OTHER_HUB = (f"{CARD.hub_id}@{commit}" for commit in COMMITS)
FILES, OTHER_FILES = "files:" + "a" * 64, "files:" + "b" * 64


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the tower was opened")

    monkeypatch.setattr(tower, "open_tower", refuse)
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def vectors(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(5, 16)).astype(np.float32)


def pack(
    folder: Path, weights: str, seed: int = 0, card: TextCard = CARD, prompts: list[Prompt] = PROMPTS, dim: int = 16
) -> Path:
    path = folder / f"{weights[-6:]}-{seed}-{len(prompts)}.safetensors"
    own = np.pad(vectors(seed), ((0, 0), (0, dim - 16)))[: len(prompts)]
    identity = {**tower_identity(card, weights), "dim": dim}
    write_pack(path, card, prompts, own, identity, prompt_sets=[PAPER], languages=["ja"])
    return path


def hub_pack(folder: Path, weights: str, seed: int = 0) -> Path:
    """Of a model as it lies on the hub, whose width is the card's."""
    return pack(folder, weights, seed, dim=4096)


def put_model_here(tmp_path: Path, commit: str) -> Path:
    """As much of a downloaded model as `weights_here` looks at; nothing here opens it."""
    place = tmp_path / "hub" / f"models--{str(CARD.hub_id).replace('/', '--')}"
    folder = place / "snapshots" / commit
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text("{}")
    (place / "refs").mkdir(exist_ok=True)
    (place / "refs" / "main").write_text(commit)
    return place


@pytest.mark.parametrize("weights", [FILES, HUB])
def test_an_imported_pack_stands_in_for_the_model(tmp_path: Path, weights: str) -> None:
    path = pack(tmp_path, FILES) if weights == FILES else hub_pack(tmp_path, HUB)
    by_pack = embed_prompts(CARD, PROMPTS, pack=path)
    done = import_pack(path)
    assert (done.added, done.known) == (5, 0)
    path.unlink()
    check_available(CARD, prompts=PROMPTS)
    check_available(CARD)
    imported = embed_prompts(CARD, PROMPTS)
    assert np.array_equal(imported.vectors, by_pack.vectors)
    assert imported.identity == by_pack.identity and imported.identity["weights"] == weights


def test_importing_twice_changes_nothing(tmp_path: Path) -> None:
    path = pack(tmp_path, FILES)
    import_pack(path)
    again = import_pack(path)
    assert (again.added, again.known) == (0, 5)


def test_packs_of_one_model_add_up(tmp_path: Path) -> None:
    import_pack(pack(tmp_path, FILES, prompts=PROMPTS[:2]))
    import_pack(pack(tmp_path, FILES, prompts=PROMPTS))
    assert np.array_equal(embed_prompts(CARD, PROMPTS).vectors, vectors(0))


def test_a_prompt_that_no_imported_pack_has_is_named(tmp_path: Path) -> None:
    import_pack(pack(tmp_path, FILES, prompts=PROMPTS[:3]))
    message = f"packs imported for text tower medllama3-jp lack the prompt '{PROMPTS[3].text}' and 1 more"
    with pytest.raises(EcgbenchError, match=message):
        check_available(CARD, prompts=PROMPTS)
    with pytest.raises(EcgbenchError, match=message):
        embed_prompts(CARD, PROMPTS)


def test_one_model_read_in_two_ways(tmp_path: Path) -> None:
    """`medllama3-jp+pooling=mean` is a tower of its own, and its weights are the model's."""
    varied = load_card(TextCard, "medllama3-jp+pooling=mean")
    import_pack(pack(tmp_path, FILES))
    with pytest.raises(EcgbenchError, match=r"text tower medllama3-jp\+pooling=mean lack the prompt"):
        embed_prompts(varied, PROMPTS)
    import_pack(pack(tmp_path, FILES, seed=1, card=varied))
    assert np.array_equal(embed_prompts(varied, PROMPTS).vectors, vectors(1))
    assert np.array_equal(embed_prompts(CARD, PROMPTS).vectors, vectors(0))
    with pytest.raises(EcgbenchError, match=r"were made with files:aaa.* and .* with files:bbb"):
        import_pack(pack(tmp_path, OTHER_FILES, card=varied))


@pytest.mark.parametrize(("before", "new"), [(FILES, OTHER_FILES), (FILES, HUB), (HUB, FILES), (HUB, OTHER_HUB)])
def test_packs_of_two_models_are_not_mixed(tmp_path: Path, before: str, new: str) -> None:
    first, second = (
        pack(tmp_path, each, seed) if each.startswith("files:") else hub_pack(tmp_path, each, seed)
        for seed, each in enumerate((before, new))
    )
    import_pack(first)
    with pytest.raises(EcgbenchError, match=r"are not mixed; --replace has runs use the new one's alone"):
        import_pack(second)
    assert embed_prompts(CARD, PROMPTS).identity["weights"] == before
    import_pack(second, replace=True)
    got = embed_prompts(CARD, PROMPTS)
    assert got.identity["weights"] == new and np.array_equal(got.vectors[:, :16], vectors(1))


def test_weights_that_are_here_go_before_imported_ones(tmp_path: Path) -> None:
    place = put_model_here(tmp_path, COMMITS[1])
    for path in (pack(tmp_path, FILES), hub_pack(tmp_path, HUB)):
        for replace in (False, True):
            with pytest.raises(EcgbenchError, match=f"on this machine are {OTHER_HUB}, and the embedding pack"):
                import_pack(path, replace=replace)
    import_pack(hub_pack(tmp_path, OTHER_HUB))
    assert embed_prompts(CARD, PROMPTS).identity["weights"] == OTHER_HUB
    shutil.rmtree(place)
    assert embed_prompts(CARD, PROMPTS).identity["weights"] == OTHER_HUB


def test_a_model_that_comes_later_is_never_mixed_with_what_was_imported(tmp_path: Path) -> None:
    import_pack(hub_pack(tmp_path, HUB))
    place = put_model_here(tmp_path, COMMITS[1])
    assert weights_identity(CARD, None) == OTHER_HUB
    with pytest.raises(AssertionError, match="the tower was opened"):  # and not: the imported vectors
        _embed_unchecked(PROMPTS)
    shutil.rmtree(place)
    put_model_here(tmp_path, COMMITS[0])
    assert embed_prompts(CARD, PROMPTS).identity["weights"] == HUB  # that very model: nothing is embedded again


def _embed_unchecked(prompts: list[Prompt]) -> None:
    """Without the look whether a model that is none would fit into memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tower, "check_fits", lambda *_: None)
        embed_prompts(CARD, prompts)


def test_half_a_model_is_no_model(tmp_path: Path) -> None:
    import_pack(hub_pack(tmp_path, HUB))
    place = put_model_here(tmp_path, COMMITS[1])
    next(place.rglob("model.safetensors")).unlink()
    assert embed_prompts(CARD, PROMPTS).identity["weights"] == HUB


def test_vectors_of_a_model_that_is_gone_are_not_put_aside_unasked(tmp_path: Path) -> None:
    """What was embedded here before the model was deleted."""
    before = VectorCache(CARD, weights_identity(CARD, None))
    before.add({prompt_key(CARD, PROMPTS[0]): vectors(1)[0]})
    with pytest.raises(EcgbenchError, match=r"the cache holds vectors .* made with EQUES/MedLLama3-JP-v2@main"):
        import_pack(pack(tmp_path, FILES))
    import_pack(pack(tmp_path, FILES), replace=True)
    assert np.array_equal(embed_prompts(CARD, PROMPTS).vectors, vectors(0))


def test_two_models_under_one_name_of_weights_are_noticed(tmp_path: Path) -> None:
    import_pack(pack(tmp_path, FILES, prompts=PROMPTS[:2]))
    with pytest.raises(EcgbenchError, match=r"their vectors of '.*' differ: one was made with another"):
        import_pack(pack(tmp_path, FILES, seed=1))
    held = VectorCache(CARD, FILES).find(prompt_key(CARD, prompt) for prompt in PROMPTS)
    assert len(held) == 2


def test_rounding_of_another_machine_is_no_other_model(tmp_path: Path) -> None:
    import_pack(pack(tmp_path, FILES, prompts=PROMPTS[:2]))
    path = tmp_path / "rounded"
    rounded = vectors(0).astype(np.float16).astype(np.float32)
    identity = {**tower_identity(CARD, FILES), "dim": 16}
    write_pack(path, CARD, PROMPTS, rounded, identity, prompt_sets=[PAPER], languages=["ja"])
    assert (import_pack(path).added, import_pack(path).known) == (3, 5)
    assert np.array_equal(embed_prompts(CARD, PROMPTS).vectors[:2], vectors(0)[:2]), "what was there stays"


def test_a_tower_that_comes_in_a_package(tmp_path: Path) -> None:
    card = load_card(TextCard, "use-multilingual")
    own = str(weights_identity(card, None))
    import_pack(pack(tmp_path, own, card=card, dim=512))
    assert np.array_equal(embed_prompts(card, PROMPTS).vectors[:, :16], vectors(0))
    with pytest.raises(EcgbenchError, match=f"on this machine are {own}"):
        import_pack(pack(tmp_path, own + "0", card=card, dim=512))


@pytest.mark.parametrize(
    ("weights", "pinned"), [("somebody/else@" + "0" * 40, None), (HUB, COMMITS[1]), ("main", None)]
)
def test_weights_that_are_not_the_card_s_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str, pinned: str | None
) -> None:
    card = CARD.model_copy(update={"revision": pinned or CARD.revision})
    monkeypatch.setattr("ecgbench.text.pack.load_card", lambda kind, name: card)
    with pytest.raises(EcgbenchError, match=r"names the weights .*, but text tower medllama3-jp is EQUES"):
        import_pack(pack(tmp_path, weights, card=card, dim=4096))


def test_a_pack_of_a_tower_that_has_no_card_here(tmp_path: Path) -> None:
    card = CARD.model_copy(update={"name": "medllama4-jp"})
    with pytest.raises(EcgbenchError, match=r"cannot be had here: unknown text tower 'medllama4-jp': did you mean"):
        import_pack(pack(tmp_path, FILES, card=card))


def test_nothing_of_a_refused_pack_is_left(tmp_path: Path) -> None:
    path = pack(tmp_path, FILES)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(EcgbenchError, match="is not a sound embedding pack"):
        import_pack(path)
    with pytest.raises(EcgbenchError, match="absent cannot be read: No such file"):
        import_pack(tmp_path / "absent")
    assert not (tmp_path / "cache").exists()


# What is in a pack.


def test_all_is_what_every_run_could_ask() -> None:
    collected = Collected(all_cards(PromptSet)[0], ("ja", "en"))
    collected.add_labels_and_classes()
    texts = {prompt.text for prompt in collected.prompts}
    for table in ("labels98.csv", "labels-csn38.csv", "labels-ptbxl-all.csv"):
        assert {prompt.text for prompt in label_prompts(PAPER, label_bank(table), "en")} <= texts
    assert "心房細動" in texts and "この心電図は心房細動を示しています。" in texts
    assert {"この心電図は正常を示しています。", "This ECG shows Normal."} <= texts  # a class of `superclass`


def test_joined_sentences_of_one_sentence_sets_only() -> None:
    sets = [load_card(PromptSet, name) for name in ("paper", "paraphrases")]
    collected = Collected(sets, ("en",))
    collected.add_joined(
        label_bank(), [("normal",), (), ("atrial-fibrillation", "normal"), ("normal", "atrial-fibrillation")]
    )
    assert [prompt.text for prompt in collected.prompts] == [
        "This ECG shows Atrial Fibrillation, Normal.",
        "This ECG shows Normal.",
    ]


# The command line.


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("export --text random -o p", "text tower random is computed in an instant: it has no embedding packs"),
        ("export --text medllama3-jp -o there", "'there' is there already: name another file with -o"),
        ("export --text medllama3-jp -o no/such/p", "there is no folder 'no/such'"),
        ("export --text medllama3-jp -o p --prompts papr", "unknown prompt set 'papr': did you mean paper"),
        ("export --text medllama3-jp -o p --lang de", "--lang de is not known: write ja or en"),
        ("export --text medllama3-jp -o p --reports", "--reports was given without --for"),
        ("export --text medlama3-jp -o p", "unknown text tower 'medlama3-jp': did you mean medllama3-jp"),
        ("export --text medllama3-jp -o p --text-path no", "--text-path no is no folder"),
        ("export --text medllama3-jp -o p --prompts paper", "which are not here and could not be fetched"),
        ("export --text medllama3-jp -o p --for nowhere", "unknown data set 'nowhere'"),
        ("embed --text medllama3-jp --reports", "--reports was given without --data"),
        ("import there", "there is not a sound embedding pack"),
        ("import absent", "absent cannot be read: No such file"),
        ("import .", "cannot be read"),
    ],
)
def test_a_wrong_request_is_one_line(
    line: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").write_text("not a pack")
    assert run_command(["text", *line.split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there"]


def test_what_an_import_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["text", "import", str(pack(tmp_path, FILES))]) == 0
    out = capsys.readouterr().out
    assert f"medllama3-jp: 5 vectors imported, made by {FILES}." in out
    assert "5 prompts of paper 1 in ja. Licence of the model: Meta Llama 3 Community License." in out
