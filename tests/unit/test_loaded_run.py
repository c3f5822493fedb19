"""`ecgbench.load_run`: what a run scored, it ranks again from a recording."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ecgbench
from ecgbench.ecg.build import store_for
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.scores import Scores
from ecgbench.findings import label_bank
from tests.conftest import OVERLAY

ASKED = {"encoder": "pooled", "text": "char-ngram", "data": "tiny", "epochs": 1, "tasks": ("retrieval98",)}


@pytest.fixture(autouse=True)
def own_cards(overlay: Path) -> None:
    """The tests' own encoder and data set."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECGBENCH_PATH", str(OVERLAY))
        return out / ecgbench.run(out=out, **ASKED).run_id


def test_a_recording_is_ranked_as_the_run_scored_it(folder: Path) -> None:
    store, run = store_for("tiny"), ecgbench.load_run(folder)
    scores = Scores.load(folder / "scores" / "retrieval98.npz")
    for row in (0, 5):
        record = scores.record_id[row]
        recording = store[store.records["record"].tolist().index(record)]
        ranked = run.rank(recording)
        assert len(ranked) == 98 and [each.similarity for each in ranked] == sorted(
            (each.similarity for each in ranked), reverse=True
        )
        by_id = {each.finding: each.similarity for each in ranked}
        np.testing.assert_allclose([by_id[name] for name in scores.class_id], scores.scores[row], atol=2e-5)
        assert ranked[0].name == label_bank()[ranked[0].finding].names["ja"]
        english = run.rank(recording, lang="en", top=3)
        assert len(english) == 3 and english[0].name == label_bank()[english[0].finding].names["en"]


def test_vectors_are_of_unit_length_whatever_the_rate(folder: Path) -> None:
    store, run = store_for("tiny"), ecgbench.load_run(folder)
    recording = store[0]
    slower = replace(recording, signal=recording.signal[:, ::2], rate=250.0)
    vectors = run.embed([recording, slower])
    assert vectors.shape == (2, 512) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.99


def test_what_cannot_be_ranked_is_said(folder: Path, tmp_path: Path) -> None:
    store, run = store_for("tiny"), ecgbench.load_run(folder)
    short = replace(store[0], signal=store[0].signal[:, :1000])
    with pytest.raises(EcgbenchError, match="under the 5 s that are needed"):
        run.rank(short)
    with pytest.raises(EcgbenchError, match="no result file at"):
        ecgbench.load_run(tmp_path)
    supervised = ecgbench.run(out=tmp_path, **{**ASKED, "control": "supervised"})
    with pytest.raises(EcgbenchError, match="the supervised control, which has no common space with text"):
        ecgbench.load_run(tmp_path / supervised.run_id).rank(store[0])
