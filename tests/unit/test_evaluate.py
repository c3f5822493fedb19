"""A finished run's model asked on other data, in another language, by other prompts, and under stress."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ecgbench.cli.main import run_command
from ecgbench.ecg.build import store_for
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.scores import Scores
from ecgbench.pipeline.evaluate import evaluate, stress_run
from ecgbench.pipeline.run import run
from ecgbench.results import Result, read_result
from tests.conftest import OVERLAY

OTHER = "synth98:balanced=6,labels=atrial-fibrillation+flat-t-wave+normal,seed=5"
ASKED = {"encoder": "pooled", "text": "char-ngram", "data": "tiny", "epochs": 1, "tasks": ("retrieval98", "superclass")}


@pytest.fixture(autouse=True)
def own_cards(overlay: Path) -> None:
    """The tests' own encoder and data set."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A run's folder and its result."""
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECGBENCH_PATH", str(OVERLAY))
        result = run(out=out, **ASKED)  # type: ignore[arg-type]
    return out / result.run_id, result


def test_on_its_own_data_it_gives_its_own_numbers(done: tuple[Path, Result], tmp_path: Path) -> None:
    folder, first = done
    again = evaluate(folder, data="tiny", tasks=("retrieval98", "superclass"), out=tmp_path)
    assert again.tasks == first.tasks and again.references == first.references
    assert again.run_id != first.run_id and again.trained_on is not None
    assert (again.trained_on.run_id, again.trained_on.data_hash) == (first.run_id, first.data.data_hash)
    for task in first.tasks:
        a = Scores.load(folder / "scores" / f"{task}.npz")
        b = Scores.load(tmp_path / again.run_id / "scores" / f"{task}.npz")
        np.testing.assert_array_equal(a.scores, b.scores)


def test_other_data_are_tested_and_named(done: tuple[Path, Result]) -> None:
    folder, first = done
    result = evaluate(folder, data=OTHER, tasks=("retrieval98",))
    store = store_for(OTHER)
    assert result.data.data_hash == store.data_hash != first.data.data_hash
    assert result.encoder == first.encoder and result.recipe == first.recipe and result.seed == first.seed
    written = folder / "evaluations" / result.run_id
    assert read_result(written / "result.json") == result
    scores = Scores.load(written / "scores" / "retrieval98.npz")
    held = store.records[(store.records["split"] != "train") & (store.records["labels"] != "")]
    assert scores.record_id.tolist() == held["record"].tolist()
    assert result.settings["training_records"] == 0


def test_another_language_and_other_prompts_are_other_evaluations(done: tuple[Path, Result]) -> None:
    folder, _ = done
    ids = {
        evaluate(folder, data="tiny", tasks=("superclass",), **changed).run_id  # type: ignore[arg-type]
        for changed in ({}, {"language": "en"}, {"prompts": "members"}, {"mapping": "clinical"})
    }
    assert len(ids) == 4
    english = evaluate(folder, data="tiny", tasks=("superclass",), language="en")
    assert english.comparable["superclass"].language == "en" and english.recipe.fields["language"] == "ja"


def test_done_is_read_and_not_repeated(done: tuple[Path, Result], capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = done
    line = ["evaluate", str(folder), "--data", "tiny", "--tasks", "superclass"]
    assert run_command(line) == 0
    first = capsys.readouterr()
    assert run_command(line) == 0
    second = capsys.readouterr()
    assert first.out == second.out and "done already" in second.err
    assert f"trained on tiny (run {folder.name})" in first.out


def test_stress_costs_are_paired_and_kept(done: tuple[Path, Result], capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = done
    result = evaluate(folder, data="tiny", tasks=("superclass",))
    costs = stress_run(folder, data="tiny", tasks=("superclass",))
    assert [cost.stress for cost in costs][:2] == ["as recorded", "without lead I"] and len(costs) == 25
    assert costs[0].value == pytest.approx(result.tasks["superclass"].metrics["accuracy"].value, abs=1e-9)
    assert costs[0].difference == 0 and costs[0].ci == [0, 0]
    for cost in costs[1:]:
        assert cost.value is not None and cost.difference is not None and costs[0].value is not None
        assert cost.difference == pytest.approx(cost.value - costs[0].value, abs=1e-9)
    kept = json.loads((folder / "evaluations" / result.run_id / "stress.json").read_text(encoding="utf-8"))
    assert [each["value"] for each in kept] == [cost.value for cost in costs]
    assert run_command(["evaluate", str(folder), "--data", "tiny", "--tasks", "superclass", "--stress"]) == 0
    assert "arm electrodes swapped" in capsys.readouterr().out


def test_a_lead_that_the_card_needs_is_refused_and_not_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(OVERLAY, tmp_path / "cards")
    card = tmp_path / "cards" / "registry" / "encoders" / "pooled.yaml"
    card.write_text(
        card.read_text(encoding="utf-8").replace("missing_lead: zero", "missing_lead: refuse"), encoding="utf-8"
    )
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path / "cards"))
    result = run(out=tmp_path, **{**ASKED, "tasks": ("superclass",)})  # type: ignore[arg-type]
    costs = {cost.stress: cost for cost in stress_run(tmp_path / result.run_id, data="tiny", tasks=("superclass",))}
    assert costs["without lead V4"].refused and costs["without lead V4"].value is None
    assert not costs["mains, 0.1 mV"].refused


def test_a_supervised_model_knows_its_own_labels_only(tmp_path: Path) -> None:
    result = run(out=tmp_path, **{**ASKED, "control": "supervised"})  # type: ignore[arg-type]
    folder = tmp_path / result.run_id
    assert evaluate(folder, data=OTHER, tasks=("retrieval98",)).control == "supervised"


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors: give the folder"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"torn"), "do not fit the encoder and recipe"),
        (lambda folder: (folder / "result.json").unlink(), "no result file at"),
    ],
)
def test_what_is_no_whole_run_is_said(done: tuple[Path, Result], tmp_path: Path, harm: object, message: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(done[0], folder)
    harm(folder)  # type: ignore[operator]
    with pytest.raises(EcgbenchError, match=message):
        evaluate(folder, data="tiny", tasks=("superclass",), again=True)


def test_a_changed_encoder_is_said(done: tuple[Path, Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(OVERLAY, tmp_path / "cards")
    code = tmp_path / "cards" / "pooled.py"
    code.write_text(code.read_text(encoding="utf-8") + "\n# another version\n", encoding="utf-8")
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path / "cards"))
    with pytest.raises(EcgbenchError, match="the source file of encoder pooled is not the one that run"):
        evaluate(done[0], data="tiny", tasks=("superclass",))


def test_an_evaluation_is_no_run(done: tuple[Path, Result]) -> None:
    folder, first = done
    result = evaluate(folder, data="tiny", tasks=("superclass",))
    with pytest.raises(EcgbenchError, match=f"is an evaluation of run {first.run_id}"):
        evaluate(folder / "evaluations" / result.run_id, data="tiny", tasks=("superclass",))


def test_a_wrong_request_is_one_line(done: tuple[Path, Result], capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(done[0])
    for line, message in (
        (["evaluate", folder], "Missing option '--data'"),
        (["evaluate", "nowhere", "--data", "tiny"], "no result file at nowhere/result.json"),
        (["evaluate", folder, "--data", "tiny", "--lang", "fr"], "--lang fr is not known: write ja or en"),
        (["evaluate", folder, "--data", "tiny", "--prompts", "bear"], "did you mean bare"),
        (["evaluate", folder, "--data", "tiny", "--tasks", "ptbxl-form"], "name tasks on labels98.csv"),
        (["evaluate", folder, "--data", "tiny", "--tasks", "unseen-labels"], "was trained with them"),
    ):
        assert run_command(line) == 2, line
        out, err = capsys.readouterr()
        assert out == "" and message in err and "Traceback" not in err, err
