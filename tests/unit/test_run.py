"""The main path, whole, on a slice of synth98 with a small encoder: what a run leaves, and when it leaves nothing."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from ecgbench.errors import EcgbenchError, RunFailedError
from ecgbench.evaluation.scores import Scores
from ecgbench.pipeline.run import run
from ecgbench.results import Result, read_result

ASKED = {"encoder": "pooled", "text": "char-ngram", "data": "tiny", "epochs": 2}
TASKS = ("retrieval98", "superclass", "rhythm", "mitbih")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """One run that the tests below look at."""
    from tests.conftest import OVERLAY

    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECGBENCH_PATH", str(OVERLAY))
        return out, run(out=out, **ASKED)


def test_a_run_leaves_all_that_the_design_names(done: tuple[Path, Result]) -> None:
    out, result = done
    folder = out / result.run_id
    assert read_result(folder / "result.json") == result
    assert {p.name for p in folder.iterdir()} == {
        "result.json",
        "scores",
        "model.safetensors",
        "recipe.yaml",
        "log.jsonl",
        "report.html",
        *(["tensorboard"] if importlib.util.find_spec("tensorboard") else []),
    }
    assert {p.stem for p in (folder / "scores").glob("*.npz")} == set(TASKS) == set(result.tasks)
    for reference in ("majority", "untrained"):
        assert {p.stem for p in (folder / "scores" / "references" / reference).glob("*.npz")} == set(TASKS)
    assert json.loads((folder / "log.jsonl").read_text(encoding="utf-8").splitlines()[0])["loss"] > 0


def test_every_number_has_an_interval_around_it_and_its_levels(done: tuple[Path, Result]) -> None:
    for task in done[1].tasks.values():
        for name, metric in task.metrics.items():
            assert metric.value is not None and metric.ci is not None and metric.ci[0] <= metric.ci[1]
            if (
                not name.endswith("auprc") and name != "ece"
            ):  # resampling lifts these on few positives (docs/metrics.md)
                assert metric.ci[0] <= metric.value <= metric.ci[1] and metric.chance is not None


def test_the_scores_file_holds_validation_and_test_rows_of_the_store(done: tuple[Path, Result], overlay: Path) -> None:
    from ecgbench.ecg.build import store_for

    out, result = done
    store = store_for("tiny")
    scores = Scores.load(out / result.run_id / "scores" / "retrieval98.npz")
    assert set(scores.split) == {"validation", "test"}
    labelled = store.records[(store.records["labels"] != "") & (store.records["split"] != "train")]
    assert scores.record_id.tolist() == labelled["record"].tolist()
    for row in (0, len(scores.record_id) - 1):
        named = {scores.class_id[i] for i in np.flatnonzero(scores.labels[row])}
        assert named == set(labelled["labels"].iloc[row].split("|"))


def test_the_same_request_gives_the_same_id_and_scores(
    done: tuple[Path, Result], overlay: Path, tmp_path: Path
) -> None:
    out, first = done
    second = run(out=tmp_path, **ASKED)
    assert second.run_id == first.run_id
    for task in TASKS:
        a = Scores.load(out / first.run_id / "scores" / f"{task}.npz")
        b = Scores.load(tmp_path / first.run_id / "scores" / f"{task}.npz")
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-6)
    assert second.tasks == first.tasks and second.references == first.references


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"epochs": 1}, {"language": "en"}, {"text": "random"}, {"mapping": "clinical"}]
)
def test_what_decides_the_numbers_changes_the_id(
    done: tuple[Path, Result], overlay: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    other = run(out=tmp_path, **{**ASKED, "tasks": ("superclass",), **change})
    assert other.run_id != done[1].run_id
    key = "superclass_clinical" if "mapping" in change else "superclass"
    assert list(other.tasks) == [key]


def test_a_run_that_is_done_is_read_not_repeated(done: tuple[Path, Result], overlay: Path) -> None:
    out, first = done
    stamp = (out / first.run_id / "model.safetensors").stat().st_mtime_ns
    assert run(out=out, **ASKED) == first
    assert (out / first.run_id / "model.safetensors").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("control", ["frozen-random", "supervised"])
def test_the_controls_run(overlay: Path, tmp_path: Path, control: str) -> None:
    result = run(out=tmp_path, control=control, **ASKED)
    assert result.control == control and set(result.tasks) == set(TASKS)


def test_training_learns_something(overlay: Path, tmp_path: Path) -> None:
    """Even one convolution ranks findings better than guessing on patients it has not seen."""
    result = run(out=tmp_path, **{**ASKED, "text": "random", "epochs": 10, "tasks": ("retrieval98",)})
    assert result.references is not None
    learned = result.tasks["retrieval98"].metrics["macro_auroc"].ci
    untrained = result.references.untrained["retrieval98"].metrics["macro_auroc"].ci
    assert learned is not None and untrained is not None
    assert learned[0] > 0.55 and learned[0] > untrained[1]


def test_a_run_that_diverges_leaves_a_failed_result(
    overlay: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ecgbench.contrastive.model import ContrastiveModel

    def nan(self, ecg, text, sentences, findings):
        return {"loss": self.embed_ecg(ecg).sum() * float("nan")}

    monkeypatch.setattr(ContrastiveModel, "forward", nan)
    with pytest.raises(RunFailedError, match="diverged"):
        run(out=tmp_path, **ASKED)
    (folder,) = tmp_path.glob("[!.]*")
    result = read_result(folder / "result.json")
    assert result.status == "failed" and "diverged" in str(result.reason) and not result.tasks
    assert not (folder / "scores").exists() and not (folder / "checkpoints").exists()


def test_whatever_breaks_leaves_a_result_and_the_whole_story(
    overlay: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("ecgbench.pipeline.model.train", no_memory)
    with pytest.raises(RunFailedError, match="can't allocate memory"):
        run(out=tmp_path, **ASKED)
    (folder,) = tmp_path.glob("[!.]*")
    assert "allocate" in str(read_result(folder / "result.json").reason)
    assert "Traceback" in (folder / "error.txt").read_text(encoding="utf-8")


def test_repeating_a_run_leaves_nothing_of_the_old_one(
    overlay: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--again` that fails midway: no old score stands beside the failed result."""
    asked = {**ASKED, "tasks": ("superclass",), "epochs": 1}
    result = run(out=tmp_path, **asked)
    folder = tmp_path / result.run_id
    assert (folder / "scores" / "superclass.npz").is_file()

    def broken(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("ecgbench.pipeline.model.train", broken)
    with pytest.raises(RunFailedError, match="no space"):
        run(out=tmp_path, again=True, **asked)
    assert read_result(folder / "result.json").status == "failed"
    assert not (folder / "scores").exists() and not (folder / "model.safetensors").exists()


def test_resume_without_a_stopped_run_is_said(done: tuple[Path, Result], overlay: Path) -> None:
    with pytest.raises(EcgbenchError, match="no stopped run to resume"):
        run(out=done[0], resume=True, **ASKED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": "resnet"}, "unknown encoder 'resnet'"),
        ({"text": "medllama3-j"}, "did you mean medllama3-jp"),
        ({"data": "synth99"}, "did you mean synth98"),
        ({"data": "synth98:XL"}, "XL"),
        ({"tasks": ("superclas",)}, "did you mean superclass"),
        ({"tasks": ()}, "name at least one task"),
        ({"recipe": "fast"}, "unknown recipe"),
        ({"language": "de"}, "write ja or en"),
        ({"mapping": "mine"}, "write paper or clinical"),
        ({"control": "none at all"}, "write none, frozen-random, supervised"),
        ({"seed": -1}, "--seed -1"),
        ({"epochs": 0}, "epochs"),
        ({"text_path": Path("/no/such")}, "--text-path"),
        ({"text": "swallow"}, "tokyotech-llm/Llama-3-Swallow-8B-v0.1"),
    ],
)
def test_a_wrong_request_ends_before_anything_is_made(
    overlay: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(EcgbenchError, match=message):
        run(out=tmp_path, **{**ASKED, **change})
    assert list(tmp_path.iterdir()) == []
