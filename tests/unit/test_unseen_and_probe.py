"""Tasks that change the training, and tasks that fit models of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card
from ecgbench.ecg.build import store_for
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.targets import keys_of, probe_shares
from ecgbench.findings import label_bank
from ecgbench.pipeline.evaluate import evaluate
from ecgbench.pipeline.prepare import prepare
from ecgbench.pipeline.reporting import Clock, Silent
from ecgbench.pipeline.request import make_request
from ecgbench.pipeline.run import run
from ecgbench.results import Result
from tests.conftest import OVERLAY

ASKED = {"encoder": "pooled", "text": "char-ngram", "data": "tiny", "epochs": 1}
PROBES = ["linear-probe-100pct", *(f"linear-probe-{share}pct-seed{seed}" for share in (1, 10) for seed in (0, 1, 2))]


@pytest.fixture(autouse=True)
def own_cards(overlay: Path) -> None:
    """The tests' own encoder and data set."""


@pytest.fixture(scope="module")
def unseen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("unseen")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECGBENCH_PATH", str(OVERLAY))
        result = run(out=out, tasks=("unseen-labels",), **ASKED)  # type: ignore[arg-type]
    return out / result.run_id, result


def test_held_out_findings_are_labels_in_one_family_each() -> None:
    card = load_card(TaskCard, "unseen-labels")
    assert card.unseen <= set(label_bank().ids)
    assert len(card.unseen) == sum(map(len, card.held_out.values())) == 13


def test_no_training_or_validation_record_has_a_held_out_finding(unseen: tuple[Path, Result]) -> None:
    folder, result = unseen
    store, held = store_for("tiny"), load_card(TaskCard, "unseen-labels").unseen
    clean = [not held & set(named) for named in store.findings()]
    split = store.records["split"].to_numpy()
    labelled = [bool(named) for named in store.findings()]
    assert not all(clean)
    assert result.settings["training_records"] == int(((split == "train") & clean & labelled).sum())
    scores = Scores.load(folder / "scores" / "unseen-labels.npz")
    columns = [place for place, name in enumerate(scores.class_id) if name in held]
    assert not scores.rows("validation").labels[:, columns].any()
    assert scores.rows("test").labels[:, columns].any()
    assert len(scores.rows("test").record_id) == int(((split == "test") & labelled).sum())


def test_held_out_findings_are_in_no_training_sentence() -> None:
    request = make_request(tasks=("unseen-labels",), **ASKED)  # type: ignore[arg-type]
    prepared = prepare(request, Silent(), Clock())
    held = load_card(TaskCard, "unseen-labels").unseen
    asked = prepared.texts.classes["unseen-labels"].sentences
    of_held = {asked[place][0] for place, name in enumerate(label_bank().ids) if name in held}
    assert of_held.isdisjoint(place for places in prepared.texts.training for place in places)


def test_seen_and_unseen_stand_apart_on_the_same_records(unseen: tuple[Path, Result]) -> None:
    folder, result = unseen
    task = result.tasks["unseen-labels"]
    assert task.parts is not None and set(task.parts) == {"seen", "unseen"}
    held = load_card(TaskCard, "unseen-labels").unseen
    test = Scores.load(folder / "scores" / "unseen-labels.npz").rows("test")
    for name, part in task.parts.items():
        columns = [i for i, each in enumerate(test.class_id) if (each in held) == (name == "unseen")]
        instances = [(row, i) for row in range(len(test.labels)) for i in columns if test.labels[row, i]]
        assert part.n_instances == len(instances)
        assert part.n_classes == len(columns)
        hits = [(test.scores[row] > test.scores[row, i]).sum() < 5 for row, i in instances]
        assert part.metrics["top5"].value == pytest.approx(np.mean(hits), abs=1e-9)
    assert task.parts["seen"].n_instances + task.parts["unseen"].n_instances == task.n_instances


def test_such_a_run_serves_no_other_task() -> None:
    request = make_request(tasks=("unseen-labels", "superclass"), **ASKED)  # type: ignore[arg-type]
    with pytest.raises(EcgbenchError, match="keeps findings out of training and the others do not: run it alone"):
        prepare(request, Silent(), Clock())


def test_its_own_model_may_be_asked_again(unseen: tuple[Path, Result]) -> None:
    folder, first = unseen
    assert evaluate(folder, data="tiny", tasks=("unseen-labels",)).tasks == first.tasks


def test_linear_probes_are_scored_a_share_and_a_draw(tmp_path: Path) -> None:
    result = run(out=tmp_path, tasks=("linear-probe",), **ASKED)  # type: ignore[arg-type]
    assert sorted(result.tasks) == sorted(PROBES)
    scores = {name: Scores.load(tmp_path / result.run_id / "scores" / f"{name}.npz") for name in PROBES}
    reached = {name: task.metrics["macro_auroc"].value for name, task in result.tasks.items()}
    assert len({tuple(each.scores.ravel()[:50]) for each in scores.values()}) == len(PROBES)
    means = [np.mean([reached[n] for n in PROBES if f"-{share}pct" in n]) for share in (1, 10, 100)]
    assert means[0] < means[2]
    assert all(identity.prompts == "none" for identity in result.comparable.values())


def test_a_probe_can_be_had_of_a_run_that_is_done(unseen: tuple[Path, Result]) -> None:
    folder, _ = unseen
    result = evaluate(folder, data="tiny", tasks=("linear-probe",))
    assert sorted(result.tasks) == sorted(PROBES) and result.references is not None
    assert sorted(result.references.untrained) == sorted(PROBES)


def test_the_names_of_probes() -> None:
    card = load_card(TaskCard, "linear-probe")
    assert keys_of(card) == set(PROBES) and len(probe_shares(card)) == 7
    assert keys_of(load_card(TaskCard, "superclass")) == {"superclass", "superclass_clinical"}
    assert keys_of(load_card(TaskCard, "retrieval98")) == {"retrieval98"}
