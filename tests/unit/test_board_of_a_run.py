"""From a run's folder to a page: what `leaderboard --add` copies, and that the page then checks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ecgbench.cli.main import run_command
from ecgbench.errors import EcgbenchError
from ecgbench.leaderboard import collect
from ecgbench.leaderboard.adding import add_run
from ecgbench.pipeline.run import run
from tests.conftest import OVERLAY


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECGBENCH_PATH", str(OVERLAY))
        return out / run(out=out, encoder="pooled", text="random", data="tiny", epochs=1).run_id


def test_added_a_run_gives_a_page_that_checks(
    finished: Path, overlay: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["leaderboard", "--folder", str(tmp_path), "--add", str(finished)]) == 0
    (page,) = tmp_path.glob("tiny-*.md")
    assert "pooled" in page.read_text(encoding="utf-8")
    (result,) = tmp_path.glob("results/*/*/result.json")
    assert result.read_bytes() == (finished / "result.json").read_bytes()
    assert {p.name for p in result.parent.iterdir()} == {"result.json", "scores"}
    assert run_command(["leaderboard", "--folder", str(tmp_path), "--check"]) == 0
    before = page.read_bytes()
    assert run_command(["leaderboard", "--folder", str(tmp_path), "--add", str(finished)]) == 0
    assert page.read_bytes() == before


def test_an_edited_number_and_an_edited_page_are_noticed(finished: Path, overlay: Path, tmp_path: Path) -> None:
    assert run_command(["leaderboard", "--folder", str(tmp_path), "--add", str(finished)]) == 0
    (page,) = tmp_path.glob("tiny-*.md")
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("pooled", "better"), encoding="utf-8")
    assert run_command(["leaderboard", "--folder", str(tmp_path), "--check"]) == 1
    page.write_text(text, encoding="utf-8")
    (path,) = tmp_path.glob("results/*/*/result.json")
    data = json.loads(path.read_text(encoding="utf-8"))
    data["tasks"]["superclass"]["metrics"]["accuracy"]["value"] = 0.99
    path.write_text(json.dumps(data), encoding="utf-8")
    assert run_command(["leaderboard", "--folder", str(tmp_path), "--check"]) == 1


def changed(finished: Path, folder: Path, **fields: Any) -> Path:
    """A copy of the run with other fields in its result."""
    shutil.copytree(finished, folder)
    data = json.loads((finished / "result.json").read_text(encoding="utf-8"))
    (folder / "result.json").write_text(json.dumps({**data, **fields}), encoding="utf-8")
    return folder


def test_a_failed_run_is_not_added(finished: Path, tmp_path: Path) -> None:
    failed = changed(finished, tmp_path / "run", status="failed", reason="diverged", tasks={}, references=None)
    with pytest.raises(EcgbenchError, match="only finished runs"):
        add_run(failed, tmp_path / "boards")
    assert not (tmp_path / "boards").exists()


def test_a_private_run_is_added_with_bootstrap_values_in_the_place_of_scores(finished: Path, tmp_path: Path) -> None:
    data = json.loads((finished / "result.json").read_text(encoding="utf-8"))["data"]
    run = changed(finished, tmp_path / "run", data={**data, "public": False})
    target = add_run(run, tmp_path / "boards")
    names = sorted(path.relative_to(run / "scores") for path in (run / "scores").rglob("*.npz"))
    assert sorted(path.relative_to(target / "values") for path in target.rglob("*.npz")) == names
    ((submission,), left_out) = collect(tmp_path / "boards" / "results")
    assert left_out == [] and not submission.result.data.public
    shutil.rmtree(run / "scores")
    with pytest.raises(EcgbenchError, match="there are no scores in"):
        add_run(run, tmp_path / "other")
    assert not list((tmp_path / "other").rglob("result.json"))
