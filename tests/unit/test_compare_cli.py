"""Paired differences with p and Holm's correction, and the verb that prints them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from leaderboard_made import DATA, OTHER_DATA, make, scores_of

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card
from ecgbench.cli.main import run_command
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.bootstrap import patient_weights
from ecgbench.evaluation.compare import paired_difference
from ecgbench.evaluation.metrics import metric_named
from ecgbench.evaluation.per_class import bootstrap_p, compare_task, holm, least_p
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import fitted

SUPERCLASS = load_card(TaskCard, "superclass")
RETRIEVAL = load_card(TaskCard, "retrieval98")


def naive_p(differences: list[float]) -> float:
    """Twice the smaller tail, one added to count and total, at most 1."""
    known = [d for d in differences if d == d]
    if not known:
        return float("nan")
    below = (sum(1 for d in known if d <= 0) + 1) / (len(known) + 1)
    above = (sum(1 for d in known if d >= 0) + 1) / (len(known) + 1)
    return min(1.0, 2 * min(below, above))


def naive_holm(p: list[float]) -> list[float]:
    """Holm's adjusted p of each test: the largest of (m - j + 1) p(j) over the p up to it."""
    known = sorted(each for each in p if each == each)
    adjusted = []
    for each in p:
        steps = [(len(known) - j) * value for j, value in enumerate(known) if value <= each]
        adjusted.append(min(1.0, max(steps)) if each == each else float("nan"))
    return adjusted


shares = st.floats(0, 1) | st.just(float("nan")) | st.sampled_from([0.01, 0.02, 0.5])


@given(st.lists(st.sampled_from([-0.5, -0.1, 0.0, 0.1, 0.3, float("nan")]), max_size=40))
def test_p_is_the_naive_one(differences: list[float]) -> None:
    assert bootstrap_p(np.array(differences, float)) == pytest.approx(naive_p(differences), nan_ok=True)


@given(st.lists(shares, max_size=12))
def test_holm_is_the_naive_one(p: list[float]) -> None:
    assert holm(np.array(p, float)).tolist() == pytest.approx(naive_holm(p), nan_ok=True)


def test_p_and_holm_by_hand() -> None:
    assert bootstrap_p(np.array([1.0] * 999)) == 2 / 1000 == least_p(999)
    assert bootstrap_p(np.zeros(1000)) == 1.0
    assert bootstrap_p(np.array([0.1] * 97 + [-0.1] * 2)) == pytest.approx(2 * 3 / 100)
    # Sums in another order make 1e-17 of a tie: still a tie.
    assert bootstrap_p(np.array([1e-17] * 50)) == 1.0
    assert holm(np.array([0.01, 0.04, 0.03, np.nan])).tolist() == pytest.approx([0.03, 0.06, 0.06, np.nan], nan_ok=True)
    assert least_p(1000, 98) == pytest.approx(196 / 1001)


def test_p_is_uniform_enough_where_nothing_differs() -> None:
    """Two systems of the same skill: about one comparison in twenty is under 0.05."""
    under = 0
    for noise in range(60):
        a, b = (scores_of("superclass", DATA, 1.0, 2 * noise + k) for k in (0, 1))
        under += compare_task(a, b, SUPERCLASS, replicates=300).overall["accuracy"].p < 0.05
    assert under <= 9  # 60 x 0.05 = 3; 10 or more has a chance of 0.1 %


def measured(name: str, scores: Scores, test: Scores, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return fitted(metric_named(name), scores).values(test.scores, test.labels, weights)


@pytest.mark.parametrize("card", [SUPERCLASS, RETRIEVAL], ids=lambda card: card.name)
def test_a_comparison_is_paired_difference_and_its_twin(card: TaskCard) -> None:
    """Overall as the existing function has it; class by class by slicing one class out."""
    a, b = scores_of(card.name, DATA, 1.0, 1), scores_of(card.name, DATA, 0.2, 2)
    found = compare_task(a, b, card, replicates=200)
    test_a, test_b = a.rows("test"), b.rows("test")
    weights = patient_weights(test_a.patient_id, 200)
    for name, pair in found.overall.items():
        assert pair.difference == paired_difference(a, b, name, replicates=200)
        assert pair.a - pair.b == pair.difference.value and pair.p_holm is None
        each = [measured(name, *pair, weights)[0] for pair in ((a, test_a), (b, test_b))]
        assert pair.p == pytest.approx(naive_p((each[0] - each[1]).tolist()))
    for name, classes in found.per_class.items():
        each = [measured(name, *pair, weights)[1] for pair in ((a, test_a), (b, test_b))]
        expected = [naive_p(column.tolist()) for column in (each[0] - each[1]).T]
        assert [pair.p for pair in classes.values()] == pytest.approx(expected, nan_ok=True)
        assert [pair.p_holm for pair in classes.values()] == pytest.approx(naive_holm(expected), nan_ok=True)
    absent = found.per_class[card.metrics[0]][str(a.class_id[-1])]
    assert np.isnan(absent.p) and np.isnan(absent.difference.value)
    assert set(found.per_class) == {name for name in card.metrics if metric_named(name).per_class}
    assert {"macro_auprc", "macro_f1"} < set(found.per_class)


def test_swapping_the_two_turns_the_sign_and_keeps_p() -> None:
    a, b = scores_of("superclass", DATA, 1.0, 1), scores_of("superclass", DATA, 0.2, 2)
    order = np.random.default_rng(0).permutation(len(b.record_id))
    there = compare_task(a, b, SUPERCLASS, replicates=200).overall["accuracy"]
    back = compare_task(b.select(order), a, SUPERCLASS, replicates=200).overall["accuracy"]
    assert back.difference.value == -there.difference.value
    assert (back.difference.low, back.difference.high) == pytest.approx((-there.difference.high, -there.difference.low))
    assert back.p == there.p < 0.05


def test_other_records_or_labels_are_refused() -> None:
    a = scores_of("superclass", DATA, 1.0, 1)
    renamed = replace(a, record_id=np.char.add("x", a.record_id))
    relabelled = replace(a, labels=a.labels[:, ::-1].copy())
    for b, message in ((renamed, "stands only in the"), (relabelled, "has other labels or another patient")):
        with pytest.raises(EcgbenchError, match=message):
            compare_task(a, b, SUPERCLASS)


@pytest.fixture
def runs(tmp_path: Path) -> tuple[str, str]:
    good = make(tmp_path, "good", tasks=("superclass", "rhythm"), skill=1.5, noise=1)
    poor = make(tmp_path, "poor", tasks=("retrieval98", "superclass", "rhythm"), skill=0.0, noise=2)
    return str(good), str(poor)


def test_the_verb_prints_every_shared_task(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["compare", *runs]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "superclass: 40 test records of 20 patients" in out and "rhythm: 40" in out
    assert "retrieval98" not in out and "p (Holm)" not in out
    assert run_command(["compare", *runs, "--task", "rhythm", "--per-class", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (task,) = document["tasks"]
    assert task == "rhythm" and document["bootstrap"]["replicates"] == 1000
    shown = document["tasks"]["rhythm"]["metrics"]["accuracy"]
    results = [json.loads(Path(run, "result.json").read_text(encoding="utf-8")) for run in runs]
    values = [result["tasks"]["rhythm"]["metrics"]["accuracy"]["value"] for result in results]
    assert [shown["a"], shown["b"]] == pytest.approx(values, abs=5e-3)
    assert shown["difference"] == pytest.approx(shown["a"] - shown["b"]) and 0 < shown["p"] <= 1
    classes = document["tasks"]["rhythm"]["per_class"]["accuracy"]
    p = [each["p"] for each in classes.values() if each["p"] is not None]
    holm_p = [each["p_holm"] for each in classes.values() if each["p_holm"] is not None]
    assert holm_p == pytest.approx(naive_holm(p)) and len(p) == 4
    assert classes["sinus-bradycardia"]["ci"] is None


def test_where_lower_is_better_it_is_said(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["compare", *runs, "--task", "superclass"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines if "lower is better" in line] == ["ece (lower is better)"]
    assert run_command(["compare", *runs, "--task", "superclass", "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)["tasks"]["superclass"]["metrics"]
    assert [name for name, each in metrics.items() if not each["higher_is_better"]] == ["ece"]


def test_classes_are_tabled_and_a_coarse_p_is_said(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["compare", *runs, "--task", "superclass", "--per-class", "--replicates", "100"]) == 0
    out = capsys.readouterr().out
    assert "class (accuracy)" in out and "class (auroc)" in out and "p (Holm)" in out
    assert "no p (Holm) of 4 classes can be under 0.079: give --replicates 160 or more" in out
    assert run_command(["compare", *runs, "--task", "superclass", "--per-class", "--replicates", "160"]) == 0
    assert "or more" not in capsys.readouterr().out


def test_scores_files_and_runs_can_be_mixed(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    file = str(Path(runs[0], "scores", "superclass.npz"))
    assert run_command(["compare", file, runs[1], "--json"]) == 0
    mixed = json.loads(capsys.readouterr().out)["tasks"]
    assert run_command(["compare", *runs, "--task", "superclass", "--json"]) == 0
    assert mixed == json.loads(capsys.readouterr().out)["tasks"]
    assert run_command(["compare", file, file, "--json"]) == 0
    same = json.loads(capsys.readouterr().out)["tasks"]["superclass"]["metrics"]["accuracy"]
    assert (same["difference"], same["ci"], same["p"]) == (0.0, [0.0, 0.0], 1.0)


def test_what_cannot_be_compared_is_one_line_and_exit_2(
    runs: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = make(tmp_path, "elsewhere", data_hash=OTHER_DATA)
    other_task = make(tmp_path, "other", tasks=("mitbih",))
    bare = make(tmp_path, "bare", with_scores=False)
    for b, options, message in (
        (elsewhere, [], "has other labels or another patient in the second scores file"),
        (other_task, [], "give two runs with a task in common"),
        (bare, [], "there is no scores file"),
        (runs[1], ["--task", "retrieval98"], "both have: choose from rhythm, superclass."),
        (tmp_path / "nowhere", [], "no result file at"),
    ):
        assert run_command(["compare", runs[0], str(b), *options]) == 2
        out, err = capsys.readouterr()
        assert out == "" and message in err and err.count("\n") == 1
