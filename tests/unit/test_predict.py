"""`ecgbench predict`: files ranked as their run scored them, with probabilities only where they were calibrated."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ecgbench
import ecgbench.ecg.reading
from ecgbench.cards import EncoderCard
from ecgbench.cli.main import run_command
from ecgbench.ecg.build import store_for
from ecgbench.ecg.recording import LEADS
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation import probability
from ecgbench.evaluation.probability import fit_curves
from ecgbench.evaluation.scores import Scores
from ecgbench.findings import label_bank
from ecgbench.pipeline.loaded import LoadedRun, load_run
from ecgbench.pipeline.predict import NOTICE, Prediction, Predictor, Unusable
from tests.conftest import OVERLAY

TABLE = ["--rate", "500", "--unit", "mV", "--leads", "I,II,III,aVR,aVL,aVF,V1,V2,V3,V4,V5,V6"]


@pytest.fixture(autouse=True)
def own_cards(overlay: Path) -> None:
    """The tests' own encoder and data set."""


@pytest.fixture
def few_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny data set has no finding with the positives that a curve needs."""
    monkeypatch.setattr(probability, "LEAST", 3)


@pytest.fixture
def folder(tiny_run: Path) -> Path:
    return tiny_run


@pytest.fixture(scope="module")
def loaded(tiny_run: Path) -> LoadedRun:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECGBENCH_PATH", str(OVERLAY))
        return load_run(tiny_run)


def written(folder: Path, rows: list[int], leads: int = 12) -> list[str]:
    """Records of the run's test rows as NPY files, named in Japanese."""
    store = store_for("tiny")
    paths = []
    for row in rows:
        path = folder / f"心電図 {row}.npy"
        np.save(path, store[row].signal[:leads])
        paths.append(str(path))
    return paths


@pytest.mark.usefixtures("few_suffice")
def test_files_are_ranked_as_the_run_scored_them(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, scores = store_for("tiny"), Scores.load(folder / "scores" / "retrieval98.npz")
    classes = Scores.load(folder / "scores" / "superclass.npz")
    held = [store.records["record"].tolist().index(record) for record in scores.record_id[:3]]
    files = written(tmp_path, held)
    assert run_command(["predict", str(folder), *files, *TABLE, "--json", "--top", "98", "--tasks", "superclass"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["notice"] == NOTICE and "not a medical device" in NOTICE and NOTICE in err
    probabilities = fit_curves(scores).probabilities(scores.scores)
    for row, each in enumerate(told["files"]):
        assert each["file"] == files[row] and each["not_recorded"] == []
        ranked = each["rankings"]["findings"]
        assert [one["rank"] for one in ranked] == list(range(1, 99))
        by_id = {one["id"]: one for one in ranked}
        found = [by_id[name] for name in scores.class_id.tolist()]
        np.testing.assert_allclose(
            [one["similarity"] for one in found], scores.scores[row], atol=3e-4
        )  # NPY: 1 µV counts
        for one, expected in zip(found, probabilities[row], strict=True):
            if np.isnan(expected):
                assert one["probability"] is None
            else:
                assert one["probability"] == pytest.approx(expected, abs=2e-3)
        place = classes.record_id.tolist().index(scores.record_id[row])
        by_class = {one["id"]: one["similarity"] for one in each["rankings"]["superclass"]}
        np.testing.assert_allclose([by_class[name] for name in classes.class_id], classes.scores[place], atol=3e-4)
        shares = [one["probability"] for one in each["rankings"]["superclass"]]
        assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(1, abs=1e-4)
    assert any(one["probability"] is not None for one in told["files"][0]["rankings"]["findings"])


@pytest.mark.usefixtures("few_suffice")
def test_another_language_names_findings_in_it_and_has_no_probability(loaded: LoadedRun) -> None:
    recording = store_for("tiny")[0]
    english = loaded.rank(recording, lang="en", top=4)
    bank = label_bank()
    assert [each.name for each in english] == [bank[each.finding].names["en"] for each in english]
    assert [each.probability for each in english] == [None] * 4
    assert "other sentences (ja) than these (en)" in Predictor(loaded, "en").asked["findings"].note
    assert any(each.probability is not None for each in loaded.rank(recording))


def test_csv_opens_in_excel_and_says_what_it_is(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = written(tmp_path, [0, 1])
    out = tmp_path / "所見.csv"
    assert run_command(["predict", str(folder), *files, *TABLE, "--csv", str(out), "--top", "3"]) == 0
    assert capsys.readouterr().out == ""
    assert out.read_bytes().startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(out.read_text(encoding="utf-8-sig").splitlines()))
    assert [row["file"] for row in rows] == [files[0]] * 3 + [files[1]] * 3
    assert [row["rank"] for row in rows] == ["1", "2", "3"] * 2
    assert {row["notice"] for row in rows} == {NOTICE}
    assert all(row["name"] == label_bank()[row["id"]].names["ja"] for row in rows)
    assert all(row["probability"] == "" or 0 <= float(row["probability"]) <= 1 for row in rows)


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_done(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = written(tmp_path, [0])[0]
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(b"no ECG at all")
    assert run_command(["predict", str(folder), str(bad), good, str(tmp_path / "absent.xml"), *TABLE]) == 1
    out, err = capsys.readouterr()
    assert good in out and "findings" in out and "bad.dcm" not in out
    assert (
        f"'{bad}' cannot be read as an ECG" in err
        and "absent.xml' cannot be read as an ECG: there is no such file" in err
    )
    assert run_command(["predict", str(folder), str(bad)]) == 2
    assert "cannot be read as an ECG" in capsys.readouterr().err
    assert run_command(["predict", str(folder), str(bad), str(bad), "--csv", str(tmp_path / "none.csv")]) == 2
    assert not (tmp_path / "none.csv").exists()


def test_leads_that_may_not_be_missing(loaded: LoadedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = ecgbench.ecg.reading.layout_of(500, "mV", ("I", "II", "V1"))
    file = tmp_path / "three.npy"
    np.save(file, store_for("tiny")[0].signal[[0, 1, 6]])
    (fed,) = Predictor(loaded).predict([str(file)], layout=layout)
    assert isinstance(fed, Prediction) and fed.lacking == ("V2", "V3", "V4", "V5", "V6")
    assert {each.probability for each in fed.rankings["findings"]} == {None}
    strict = loaded._card.input.model_copy(update={"missing_lead": "refuse"})
    card: EncoderCard = loaded._card.model_copy(update={"input": strict})
    monkeypatch.setattr(loaded, "_card", card)
    (refused,) = Predictor(loaded).predict([str(file)], layout=layout)
    assert isinstance(refused, Unusable)
    assert "lacks the leads V2, V3, V4, V5 and V6, which the card of encoder pooled does not allow" in refused.reason


def test_only_what_was_recorded_is_ranked(loaded: LoadedRun, tmp_path: Path) -> None:
    """Seven seconds are padded to ten for the sheet; the encoder sees no padding as signal."""
    layout = ecgbench.ecg.reading.layout_of(500, "mV", LEADS)
    recording = store_for("tiny")[0]
    file, short = tmp_path / "short.npy", recording.signal[:, :3500]
    np.save(file, short)
    (told,) = Predictor(loaded).predict([str(file)], layout=layout, top=98)
    assert isinstance(told, Prediction) and told.samples == 3500 and told.recording.signal.shape == (12, 5000)
    direct = loaded.rank(replace(recording, signal=short))
    np.testing.assert_allclose(
        [each.similarity for each in told.rankings["findings"]], [each.similarity for each in direct], atol=3e-4
    )


def test_the_middle_of_a_longer_recording(loaded: LoadedRun, tmp_path: Path) -> None:
    layout = ecgbench.ecg.reading.layout_of(500, "mV", LEADS)
    store = store_for("tiny")
    file = tmp_path / "long.npy"
    np.save(file, np.concatenate([store[row].signal for row in (0, 1, 2)], axis=1))
    (middle,) = Predictor(loaded).predict([str(file)], layout=layout, window="middle")
    assert isinstance(middle, Prediction)
    np.testing.assert_allclose(middle.recording.signal, store[1].signal, atol=2e-3)


def test_a_sheet_with_the_findings_beside_it(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, [0])[0]
    for name in ("sheet.svg", "sheet.png"):
        assert run_command(["predict", str(folder), file, *TABLE, "--plot", str(tmp_path / name), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
    svg = (tmp_path / "sheet.svg").read_text(encoding="utf-8")
    for each in told["files"][0]["rankings"]["findings"]:
        assert each["name"] in svg and f"{each['similarity']:z.2f}" in svg
    assert (
        "医療機器ではありません" in svg and "類似度" in svg and "心電図 0" not in svg
    )  # the file's name may be a patient's
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["--top", "0"], "--top 0: write a number from 1"),
        (["--window", "last"], "write first or middle"),
        (["--lang", "de"], "type --lang en or ja"),
        (["--tasks", "superclas"], "has not scored the task 'superclas': name retrieval98 or superclass"),
        (["--plot", "a.pdf"], "write a name that ends in .svg or .png"),
        (["b.npy", "--plot", "a.svg"], "--plot draws one file and 2 were given"),
        (["--csv", "a.txt"], "write a name that ends in .csv"),
        (["--rate", "500"], "add --unit"),
    ],
)
def test_wrong_requests(folder: Path, line: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["predict", str(folder), "a.npy", *line]) == 2
    assert said in capsys.readouterr().err


def test_runs_that_have_no_model(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(folder / "result.json", tmp_path)
    assert run_command(["predict", str(tmp_path), "a.npy"]) == 2
    assert "has no model.safetensors" in capsys.readouterr().err
    assert run_command(["predict", str(tmp_path / "nowhere"), "a.npy"]) == 2
    assert "no result file at" in capsys.readouterr().err


def test_without_scores_nothing_is_invented(folder: Path, tmp_path: Path) -> None:
    copied = tmp_path / folder.name
    shutil.copytree(folder, copied, ignore=shutil.ignore_patterns("scores"))
    run = load_run(copied)
    assert {each.probability for each in run.rank(store_for("tiny")[0])} == {None}
    with pytest.raises(EcgbenchError, match="has not scored the task 'rhythm'"):
        Predictor(run, tasks=["rhythm"])
