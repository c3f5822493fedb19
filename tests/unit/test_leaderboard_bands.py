"""How far rounding to float16 can have moved a number: what the boards allow, and no more."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from leaderboard_made import DATA, N_TEST, rounded, scores_of

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import score_task
from ecgbench.leaderboard.bands import half_spacing
from ecgbench.leaderboard.replay import replay
from ecgbench.leaderboard.verify import _numbers, mismatches
from ecgbench.results import TaskScore

SUPERCLASS = load_card(TaskCard, "superclass")
RETRIEVAL = load_card(TaskCard, "retrieval98")


def hair_apart(task: str, noise: int) -> Scores:
    """Scores so close together that float16 ties many of them."""
    scores = scores_of(task, DATA, 1.0, noise)
    scores.scores[:] = 0.3 + scores.scores * 0.003
    return scores


@pytest.mark.parametrize("noise", range(5))
@pytest.mark.parametrize("card", [SUPERCLASS, RETRIEVAL], ids=lambda card: card.name)
def test_rounding_alone_is_no_mismatch(card: TaskCard, noise: int, tmp_path: Path) -> None:
    """Cosines so close together that float16 ties many of them, on 40 records."""
    scores = hair_apart(card.name, noise)
    score = TaskScore.model_validate(score_task(scores, card))
    after = replay(rounded(scores, tmp_path), card)
    moved = [
        abs(score.metrics[name].value - after.score.metrics[name].value)  # type: ignore[operator]
        for name in card.metrics
    ]
    assert max(moved) > 0  # the rounding did something
    assert mismatches(score, card, after) == []


@pytest.mark.parametrize("card", [SUPERCLASS, RETRIEVAL], ids=lambda card: card.name)
def test_the_bands_hold_what_rounding_moved(card: TaskCard, tmp_path: Path) -> None:
    """Every number of the exact scores, without any tolerance, by the plain metric functions."""
    scores = hair_apart(card.name, 3)
    after = replay(rounded(scores, tmp_path), card)
    exact, coarse = (dict(_numbers(each)) for each in (replay(scores, card).score, after.score))
    moved = 0
    for name, band in after.bands.items():
        value, ends = exact[name]
        if value is None or ends is None:
            assert exact[name] == coarse[name] == (None, None) and math.isnan(band.value[0])
            continue
        for number, (low, high) in zip((value, *ends), (band.value, band.low, band.high), strict=True):
            assert low - 1e-12 <= number <= high + 1e-12, name
        moved += (value, ends) != coarse[name]
    assert moved >= len(card.metrics)


@pytest.mark.parametrize("card", [SUPERCLASS, RETRIEVAL], ids=lambda card: card.name)
def test_what_is_computed_on_rounded_scores_has_no_room(card: TaskCard, tmp_path: Path) -> None:
    scores = hair_apart(card.name, 3)
    after, exact = replay(rounded(scores, tmp_path), card), dict(_numbers(replay(scores, card).score))
    names = [name for name in after.bands if name.split(" of ")[0] in ("macro_f1", "micro_f1", "ece", "f1")]
    assert len(names) == 2 + len(scores.class_id)
    for name in names:
        band, (value, ends) = after.bands[name], exact[name]
        if value is not None and ends is not None:
            assert [*band.value, *band.low, *band.high] == pytest.approx([value] * 2 + [ends[0]] * 2 + [ends[1]] * 2)


def test_the_cells_of_the_confusion_matrix_lie_in_their_bands(tmp_path: Path) -> None:
    scores = hair_apart("superclass", 3)
    after = replay(rounded(scores, tmp_path), SUPERCLASS)
    assert after.confusion is not None and after.score.confusion is not None
    exact = np.array(replay(scores, SUPERCLASS).score.confusion)
    least, most = after.confusion
    assert (least <= exact).all() and (exact <= most).all() and (exact != np.array(after.score.confusion)).any()
    assert (most - least).sum() < exact.sum()  # and the bands are no excuse for everything


def test_positives_that_rounding_tied_may_have_been_worth_less() -> None:
    """A negative above, all positives tied below it: the tie is one threshold, the true order may have been many."""
    scores = scores_of("superclass", DATA, 1.0, 1)
    test = np.flatnonzero(scores.split == "test")
    scores.labels[:] = [1, 0, 0, 0, 0]
    scores.labels[test[0]] = [0, 1, 0, 0, 0]
    scores.scores[:] = np.float16(0.25)
    scores.scores[test[0]] = np.float16(0.5)
    band = replay(scores, SUPERCLASS).bands[f"auprc of {scores.class_id[0]}"].value
    n = len(test) - 1
    assert band == pytest.approx((np.mean([k / (k + 1) for k in range(1, n + 1)]), n / (n + 1)))


def test_a_class_of_one_record_may_move_far() -> None:
    """Rounding made a tie: the class had all or nothing, and the band says so."""
    scores = scores_of("superclass", DATA, 1.0, 1)
    last = int(np.flatnonzero(scores.split == "test")[-1])
    scores.labels[scores.labels[:, 0] > 0] = [0, 1, 0, 0, 0]
    scores.labels[last] = [1, 0, 0, 0, 0]
    scores.scores[:] = np.float16(0.25)
    band = replay(scores, SUPERCLASS).bands[f"accuracy of {scores.class_id[0]}"]
    assert band.value == band.low == band.high == (0.0, 1.0)


def test_true_classes_are_each_others_rivals() -> None:
    """Two true classes of one record, the one with three findings, tied by rounding: it may have won or lost."""
    scores = scores_of("superclass", DATA, 1.0, 1)
    scores.labels[:] = [3, 1, 0, 0, 0]
    scores.scores[:] = np.array([0.25, 0.25, 0.0625, 0.0625, 0.0625], np.float16)
    after = replay(scores, SUPERCLASS)
    assert after.score.metrics["accuracy"].value == 0.5
    low, high = after.bands["accuracy"].value
    assert low <= 1 / 4 and high >= 3 / 4


@pytest.mark.parametrize(("apart", "high"), [(1, 0.5), (2, 0.0)])
def test_scores_one_spacing_apart_may_have_been_tied(apart: int, high: float) -> None:
    """Each can have been moved by half a spacing: one spacing apart they meet, two apart they do not."""
    scores = scores_of("superclass", DATA, 1.0, 1)
    scores.labels[:] = [1, 0, 0, 0, 0]
    scores.labels[np.flatnonzero(scores.split == "test")[0]] = [0, 1, 0, 0, 0]
    own = np.float16(0.25)
    scores.scores[:] = [own, own + apart * np.spacing(own), 0.125, 0.125, 0.125]
    found = replay(scores, SUPERCLASS).bands
    assert found[f"accuracy of {scores.class_id[0]}"].value == (0.0, high)
    assert found["accuracy"].value == (1 / N_TEST if apart == 2 else 0.5 / N_TEST, (1 + high * (N_TEST - 1)) / N_TEST)


def test_ranks_and_exact_scores_have_no_room() -> None:
    """The majority's ranks are full of ties that rounding did not make."""
    ranks = np.tile(np.array([0, 1, 2, 2, 4], np.float32), (3, 1))
    assert not half_spacing(ranks).any()
    assert not half_spacing(np.array([[0.1, 0.2]], np.float32)).any()
    assert not half_spacing(np.array([[70000.0, 1.0]], np.float32)).any()
    assert half_spacing(np.array([[1.0, 0.0]], np.float32)).all()  # cosines can round to these
    assert half_spacing(np.array([[2050.0, 4.0]], np.float32)).all()  # counts that may have been 2049
