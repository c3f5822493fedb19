"""A run by the model, by a pack of it, and after a pack was imported: one run, whatever the prompt mode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ecgbench.cli.main import run_command
from ecgbench.ecg.build import store_for
from ecgbench.errors import EcgbenchError
from ecgbench.pipeline.evaluate import evaluate
from ecgbench.pipeline.loaded import load_run
from ecgbench.pipeline.prepare import Prepared, prepare
from ecgbench.pipeline.reporting import Clock, Silent
from ecgbench.pipeline.request import make_request
from ecgbench.pipeline.run import run
from tests.conftest import OVERLAY
from tests.unit import test_reports
from tests.unit.tiny_llama import save_tiny_llama

TOWERS = ("medllama3-jp", "medllama3-jp+pooling=mean")
MODES = ("joined", "one", "mean", "report")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the model, `llama`, a pack of each tower, and a cache into which these were imported, `imported`. The
    data set `reported` has free-text reports."""
    folder = tmp_path_factory.mktemp("stand-in")
    datasets = folder / "cards" / "registry" / "datasets"
    datasets.mkdir(parents=True)
    (datasets / "reported.py").write_text(test_reports.SOURCE, encoding="utf-8")
    for name, public in (("reported", "true"), ("private", "false")):
        card = test_reports.CARD.format(name=name, made="Reported", public=public)
        (datasets / f"{name}.yaml").write_text(card, encoding="utf-8")
    save_tiny_llama(folder / "llama")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECGBENCH_PATH", f"{OVERLAY}:{folder / 'cards'}")
        patch.setenv("HF_HOME", str(folder / "no-model"))
        for number, tower in enumerate(TOWERS):
            words = [
                "text", "export", "--text", tower, "--text-path", str(folder / "llama"), "--prompts", "paper", "--lang", "ja",
                "--for", "reported", "--reports", "-o", str(folder / f"{number}.safetensors"),
            ]  # fmt: skip
            assert run_command(words) == 0
        store_for("private")
        stores = Path(str(store_for("reported").folder))
        (folder / "imported").mkdir()
        (folder / "imported" / "stores").symlink_to(stores.parent)
        with pytest.MonkeyPatch.context() as other:
            other.setenv("ECGBENCH_CACHE", str(folder / "imported"))
            for number in range(len(TOWERS)):
                assert run_command(["text", "import", str(folder / f"{number}.safetensors")]) == 0
        yield folder


@pytest.fixture
def imported(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGBENCH_CACHE", str(here / "imported"))


def asked(tower: str, mode: str, **how: object) -> dict[str, object]:
    return {
        "encoder": "pooled", "text": tower, "data": "reported", "recipe": f"quick+prompt={mode}", "epochs": 1, **how,
    }  # fmt: skip


def prepared(*words: str, **how: object) -> Prepared:
    return prepare(make_request(**asked(*words, **how)), Silent(), Clock())  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tower", TOWERS)
def test_one_run_id_and_the_same_vectors(here: Path, monkeypatch: pytest.MonkeyPatch, tower: str, mode: str) -> None:
    pack = here / f"{TOWERS.index(tower)}.safetensors"
    by_model = prepared(tower, mode, text_path=here / "llama")
    by_pack = prepared(tower, mode, text_pack=pack)
    monkeypatch.setenv("ECGBENCH_CACHE", str(here / "imported"))
    by_import = prepared(tower, mode)
    assert by_model.run_id == by_pack.run_id == by_import.run_id
    assert np.array_equal(by_model.texts.vectors, by_pack.texts.vectors)
    assert np.array_equal(by_model.texts.vectors, by_import.texts.vectors)
    assert len(np.unique(by_model.texts.vectors, axis=0)) > 90


def test_two_ways_to_read_a_model_are_two_towers(here: Path, imported: None) -> None:
    own, mean = (prepared(tower, "one") for tower in TOWERS)
    assert own.run_id != mean.run_id and not np.allclose(own.texts.vectors, mean.texts.vectors)


@pytest.mark.slow
def test_whole_runs_and_what_follows_them(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained, evaluated and asked without the model: the same numbers."""
    by_model = run(out=tmp_path / "a", **asked(TOWERS[0], "joined", text_path=here / "llama"))  # type: ignore[arg-type]
    monkeypatch.setenv("ECGBENCH_CACHE", str(here / "imported"))
    by_import = run(out=tmp_path / "b", **asked(TOWERS[0], "joined"))  # type: ignore[arg-type]
    assert by_import.run_id == by_model.run_id and by_import.tasks == by_model.tasks
    assert by_import.text == by_model.text
    again = evaluate(tmp_path / "b" / by_import.run_id, data="reported", tasks=("rhythm",))
    assert again.tasks["rhythm"].metrics == by_model.tasks["rhythm"].metrics
    recording = store_for("reported")[0]
    assert load_run(tmp_path / "b" / by_import.run_id).rank(recording, top=3)
    with pytest.raises(EcgbenchError, match="packs imported for text tower medllama3-jp lack the prompt"):
        evaluate(tmp_path / "b" / by_import.run_id, data="reported", tasks=("rhythm",), language="en")


def test_patients_reports_leave_in_no_pack(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["text", "export", "--text", TOWERS[0], "--text-path", str(here / "llama"), "--reports"]
    for source in ("private", str(store_for("private").folder)):
        assert run_command([*words, "--for", source, "-o", str(tmp_path / "p")]) == 2
        assert (
            "is not public: its reports are patients' text, and a pack would give them away" in capsys.readouterr().err
        )
    assert not (tmp_path / "p").exists()
