"""From a run's folder to a page: what `leaderboard --add` copies, and that the page then checks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecgbench.cli.main import run_command
from ecgbench.errors import EcgbenchError
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


def test_a_failed_or_private_run_is_not_added(finished: Path, tmp_path: Path) -> None:
    data = json.loads((finished / "result.json").read_text(encoding="utf-8"))
    for name, change, message in (
        ("private", {"data": {**data["data"], "public": False}}, "not public"),
        ("failed", {"status": "failed", "reason": "diverged", "tasks": {}, "references": None}, "only finished runs"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(json.dumps({**data, **change}), encoding="utf-8")
        with pytest.raises(EcgbenchError, match=message):
            add_run(tmp_path / name, tmp_path / "boards")
    assert not (tmp_path / "boards").exists()
