"""What keeps large data, long label tables and long boards within time and memory gives the numbers of the plain way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card
from ecgbench.ecg.build import labels_of
from ecgbench.evaluation import areas
from ecgbench.evaluation.areas import weighted_auprc, weighted_auroc
from ecgbench.evaluation.bootstrap import LEVEL, interval, patient_weights
from ecgbench.evaluation.weighting import blocks
from ecgbench.leaderboard import replay as replays
from ecgbench.leaderboard.ranks import rank_intervals
from tests.bench.scale import exponent
from tests.bench.scale_made import index_parts, write
from tests.bench.scale_stages import STAGES, caches_in
from tests.unit.leaderboard_made import DATA, scores_of


def matrix(records: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores with ties and labels, one class without a positive and one without a negative."""
    random = np.random.default_rng(records)
    labels = (random.random((records, classes)) < 0.1).astype(np.int16)
    labels[:, 0], labels[:, 1] = 0, 1
    return np.round(random.standard_normal((records, classes)), 1).astype(np.float32), labels


@pytest.mark.parametrize("area", [weighted_auroc, weighted_auprc])
def test_classes_ranked_a_few_at_a_time_have_the_same_areas(area, monkeypatch):
    scores, labels = matrix(60, 17)
    weights = patient_weights(np.arange(60).astype(str), 20, plain=True)
    whole = area(scores, labels, weights)
    alone = np.concatenate([area(scores[:, i : i + 1], labels[:, i : i + 1], weights) for i in range(17)], axis=1)
    monkeypatch.setattr(areas, "PAIRS", 150)  # two classes of 60 records
    monkeypatch.setattr(areas, "LEAST", 1)
    np.testing.assert_array_equal(area(scores, labels, weights), whole)
    np.testing.assert_array_equal(alone, whole)


def test_blocks_hold_at_least_so_many_replicates():
    found = list(blocks(10, 10**9, least=4))
    assert found == [slice(0, 4), slice(4, 8), slice(8, 10)]


@pytest.mark.parametrize("kept", [0, 2**22])
def test_resamples_are_the_same_kept_or_not_and_may_have_the_plain_row_before_them(kept, monkeypatch):
    patients = np.array([f"p{i // 3}" for i in range(50)])
    wanted = patient_weights(patients, 30, seed=5)
    monkeypatch.setattr("ecgbench.evaluation.bootstrap.KEPT", kept)
    found = patient_weights(patients, 30, seed=5, plain=True)
    np.testing.assert_array_equal(found[1:], wanted)
    assert (found[0] == 1).all() and found.dtype == np.int16
    found[:] = 0  # the caller's own: what is kept stays as it is
    np.testing.assert_array_equal(patient_weights(patients, 30, seed=5), wanted)


def test_intervals_of_many_columns_are_those_of_each():
    random = np.random.default_rng(0)
    values = random.random((200, 40))
    values[random.random(values.shape) < random.random(40) / 2] = np.nan
    values[:, 7] = np.nan
    found, tail = interval(values), 100 * (1 - LEVEL) / 2
    for column in range(40):
        defined = values[~np.isnan(values[:, column]), column]
        wanted = np.percentile(defined, [tail, 100 - tail]) if defined.size else [np.nan, np.nan]
        np.testing.assert_array_equal(found[:, column], wanted)


def test_ranks_of_tied_rows_are_the_mean_of_their_places():
    values = np.random.default_rng(1).integers(0, 4, (30, 101)).astype(float)
    wanted = []
    for row in values:
        better, tied = (values[:, 1:] > row[1:]).sum(axis=0), (values[:, 1:] == row[1:]).sum(axis=0)
        low, high = np.percentile(better + (tied + 1) / 2, [2.5, 97.5])
        wanted.append((int(np.floor(low)), int(np.ceil(high))))
    assert rank_intervals(list(values)) == wanted


def test_a_board_holds_few_measurements_whole_and_measures_again_what_is_asked_again(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(replays, "HELD", 2)
    card, known = load_card(TaskCard, "superclass"), replays.Replays()
    paths = []
    for number in range(4):
        paths.append(tmp_path / f"{number}.npz")
        scores_of("superclass", DATA, 1.0, number).save(paths[-1])
    first = [known.measured(path, card) for path in paths]
    assert len(known._held) == 2
    again = known.measured(paths[0], card)
    assert again is not first[0] and again.score == first[0].score and repr(again.bands) == repr(first[0].bands)
    kept = [known.of(path, card) for path in paths]
    assert not any(isinstance(each, replays.Measured) for each in kept)
    assert all(each.patients is kept[0].patients for each in kept[1:])
    for each, measured in zip(kept, first, strict=True):
        assert (each.rows, each.n_patients) == (measured.rows, measured.score.n_patients)
        np.testing.assert_array_equal(each.replicates["accuracy"], measured.replicates["accuracy"])


def test_the_label_table_of_a_store_is_known_without_its_index(tmp_path: Path):
    write(tmp_path / "store", index_parts(20))
    (tmp_path / "store" / "index.csv").unlink()
    assert labels_of(str(tmp_path / "store")) == "labels98.csv"


def test_an_exponent_is_the_slope_between_the_last_two_sizes():
    assert exponent([10, 100, 1000], [9.0, 2.0, 20.0], 0.1) == "1.00"
    assert exponent([10, 100], [1.0, 100.0], 0.1) == "2.00 *"
    assert exponent([10, 100], [0.001, 1.0], 0.1) == "—"
    assert exponent([10], [1.0], 0.1) == "—"


@pytest.mark.parametrize("place", range(len(STAGES)), ids=lambda place: f"{STAGES[place].axis}: {STAGES[place].name}")
def test_every_stage_of_the_measurement_can_be_done(place, tmp_path: Path, monkeypatch):
    stage = STAGES[place]
    monkeypatch.setenv("ECGBENCH_CACHE", "")
    monkeypatch.setenv("ECGBENCH_PATH", "")  # set back afterwards, whatever the stage sets
    monkeypatch.setattr("tests.bench.scale_stages.RECORDS_OF_LABELS", 40)
    caches_in(tmp_path)
    stage.make({"records": 40, "labels": 120, "rows": 3}[stage.axis], tmp_path)()
