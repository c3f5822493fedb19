"""The command line as a person meets it: what it prints, what it imports, and how it says no."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ecgbench.cli.main import run_command
from ecgbench.cli.tables import table

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "transformers", "open_clip", "timm", "pandas", "scipy", "sklearn")


def imported_by(*arguments: str) -> set[str]:
    """Top-level modules that a command imports, by the interpreter's own account."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ecgbench", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    names = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert "ecgbench.cli" in names
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    "arguments",
    [["ls"], ["ls", "encoders", "--json"], ["show", "resnet1d18"], ["show", "superclass"], ["show", "paper"], ["check"], ["--help"],
     ["run", "--help"], ["leaderboard", "--help"], ["doctor", "--help"], ["check", "--help"]],
    ids=" ".join,
)  # fmt: skip
def test_cheap_verbs_import_nothing_heavy(arguments: list[str]) -> None:
    assert not imported_by(*arguments) & set(HEAVY)


def test_leaderboard_does_not_import_torch(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    assert "torch" not in imported_by("leaderboard", "--folder", str(tmp_path))


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, ecgbench; print([m for m in sys.modules if m in {(*HEAVY, 'numpy', 'pydantic')!r}])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
        == "[]\n"
    )


def test_torch_and_torchvision_match() -> None:
    """timm and open_clip import torchvision, whose compiled operators need the torch they were built for."""
    import open_clip
    import timm
    import torch
    import torchvision

    boxes, scores = torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 1]]), torch.tensor([0.9, 0.8])
    assert torchvision.ops.nms(boxes, scores, 0.5).tolist() == [0]
    assert open_clip.ClipLoss and timm.__version__


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "run --encoder resnet18 --text random",
            "unknown encoder 'resnet18': did you mean resnet1d18 or ",
        ),
        ("run --encoder resnet1d18 --text use-multilangual", "did you mean use-multilingual?"),
        ("run --encoder resnet1d18", "Missing option '--text'."),
        ("run --encoder resnet1d18 --text random --sed 3", "No such option: --sed"),
        ("run --encoder resnet1d18 --text random --epochs many", "Invalid value for '--epochs'"),
        ("run --encoder resnet1d18 --text random --data ptbxl:/no/such", "there is no folder '/no/such'"),
        (
            "run --encoder resnet1d18 --text random --data ptbxl:~nosuchuser/x",
            "'~nosuchuser/x' begins with the home of no user",
        ),
        (
            "run --encoder resnet1d18 --text random --data ~nosuchuser/x",
            "'~nosuchuser/x' begins with the home of no user",
        ),
        ("run --encoder resnet1d18 --text random --resume --again", "not both"),
        ("run --encoder resnet1d18 --text medllama3-jp --text-path /no/such", "/no/such"),
        ("ls encoder", "did you mean encoders"),
        ("show superclas", "did you mean superclass"),
        ("check nothing", "unknown card 'nothing'"),
        ("lst", "No such command 'lst'"),
        ("--path /no/such ls", "ECGBENCH_PATH names '/no/such'"),
        ("leaderboard --folder /no/such", "/no/such"),
        ("leaderboard --add /no/such", "no result file at /no/such/result.json"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_2(
    line: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECGBENCH_PATH", "")
    assert run_command(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1 and "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_absent_weights_end_within_ten_seconds_with_the_ways_out(tmp_path: Path) -> None:
    """The command the toolkit is known by, where the 16 GB are not: no other tower, nothing built, exit 2."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "hf"),
                   "ECGBENCH_CACHE": str(tmp_path / "cache")}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "ecgbench", "run", "--encoder", "resnet1d18", "--text", "medllama3-jp"],
        capture_output=True, text=True, cwd=tmp_path, env={**environment, "PYTHONPATH": str(ROOT)}, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    for wanted in (
        "medllama3-jp",
        "EQUES/MedLLama3-JP-v2",
        "16.1 GB",
        "Llama 3",
        "HF_HOME",
        "--text-path",
        "--text-pack",
        "use-multilingual",
    ):
        assert wanted in done.stderr
    assert not (tmp_path / "runs").exists() and not (tmp_path / "cache" / "stores").exists()


@pytest.mark.slow
def test_ctrl_c_keeps_a_checkpoint_and_resume_ends_the_run(tmp_path: Path) -> None:
    """As a person does it: a process of its own, SIGINT in the middle of training, the same command with --resume."""
    line = [sys.executable, "-m", "ecgbench", "run", "--encoder", "pooled", "--text", "random", "--data", "tiny"]
    line += ["--epochs", "40", "--tasks", "superclass"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ECGBENCH_PATH": str(ROOT / "tests" / "overlay")}
    started = subprocess.Popen(line, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: any(tmp_path.glob("runs/*/log.jsonl")) and '"step"' in log_of(tmp_path))
        started.send_signal(signal.SIGINT)
        _, err = started.communicate(timeout=60)
    finally:
        started.kill()
    assert started.returncode == 130 and "--resume goes on" in err and "Traceback" not in err
    assert not list(tmp_path.glob("runs/*/result.json"))
    refused = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and "go on with --resume" in refused.stderr
    resumed = subprocess.run(
        [*line, "--resume"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    (result,) = tmp_path.glob("runs/*/result.json")
    whole = subprocess.run(
        [*line, "--out", "other", "--json"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(whole.stdout)["tasks"] == json.loads(result.read_text(encoding="utf-8"))["tasks"]


def wait_for(ready: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def log_of(folder: Path) -> str:
    return next(folder.glob("runs/*/log.jsonl")).read_text(encoding="utf-8")


def test_ls_lists_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["ls"]) == 0
    out = capsys.readouterr().out
    for name in (
        "resnet1d18",
        "vit1d-tiny",
        "medllama3-jp",
        "synth98",
        "ptbxl",
        "retrieval98",
        "paraphrases",
        "quick",
        "paper",
    ):
        assert name in out


def test_ls_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["ls", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert list(listed) == ["encoders", "texts", "datasets", "tasks", "prompts", "recipes", "results"]
    assert all(row["hash"] and row["path"] for kind in ("encoders", "tasks", "prompts") for row in listed[kind])


def test_show_tells_where_the_mappings_differ(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["show", "superclass"]) == 0
    (pacemaker,) = [line for line in capsys.readouterr().out.splitlines() if "Pacemaker Rhythm" in line]
    assert pacemaker.split()[-3:] == ["Conduction", "Disturbance", "—"]  # of a class by the paper, of none clinically


def test_check_says_what_is_at_fault_and_exits_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "registry" / "encoders"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("name: mine\n", encoding="utf-8")
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    assert run_command(["check"]) == 1
    out = capsys.readouterr().out
    assert "FAULT" in out and "entry_point: Field required" in out and "resnet1d18" in out


def overlay_text(folder: Path, where: str, text: str) -> None:
    path = folder / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def changed(where: str, *changes: tuple[str, str]) -> str:
    """A shipped card's text with some parts replaced, each of which must be there."""
    text = (ROOT / where).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


CANNOT_RUN = {
    "tasks/a-table.yaml": ("superclass", [("labels98.csv", "absent.csv")], ["there is no label table 'absent.csv'"]),
    "tasks/a-metric.yaml": (
        "superclass",
        [("metrics: [accuracy,", "metrics: [accuracy, f1, f2,")],
        ["there is no metric 'f1'", "there is no metric 'f2'"],
    ),
    "tasks/a-prompt.yaml": (
        "superclass",
        [("prompt_set: paper", "prompt_set: absent")],
        ["unknown prompt set 'absent'"],
    ),
    "tasks/a-name.yaml": (
        "superclass",
        [("{ja: 心肥大, en: Hypertrophy}", "{ja: 心肥大}")],
        ["has no name in 'en' for hypertrophy"],
    ),
    "tasks/a-mapping.yaml": (
        "superclass",
        [("paper: superclass_paper", "paper: absent")],
        ["labels98.csv has no column 'absent'"],
    ),
    "tasks/a-bank.yaml": ("retrieval98", [("labels98.csv", "torn.csv")], ["torn.csv lacks the column label_ja"]),
    "registry/datasets/a-table.yaml": (
        "ptbxl",
        [("labels98.csv", "absent.csv")],
        ["there is no label table 'absent.csv'"],
    ),
    "registry/datasets/a-column.yaml": (
        "ptbxl",
        [("label_column: scp", "label_column: absent")],
        ["labels98.csv has no column 'absent'"],
    ),
}


@pytest.mark.parametrize("where", CANNOT_RUN)
def test_check_finds_what_a_card_names_and_cannot_have(
    where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped, changes, messages = CANNOT_RUN[where]
    folder, _, file = where.rpartition("/")
    name = file.removesuffix(".yaml")
    text = changed(f"{folder}/{shipped}.yaml", (f"name: {shipped}", f"name: {name}"), *changes)
    overlay_text(tmp_path, where, text)
    overlay_text(tmp_path, "tasks/torn.csv", "id,label_en\naf,Atrial Fibrillation\n")
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    assert run_command(["check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    faults = [line for line in lines if "FAULT" in line]
    assert len(faults) == len(messages)
    assert all(name in fault and message in fault for fault, message in zip(faults, messages, strict=True))
    assert any("resnet1d18" in line and " ok" in line for line in lines)


def test_check_finds_a_recipe_that_cannot_be_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = "baselines/quick/recipe.yaml"
    absent = changed(quick, ("name: quick", "name: no-set"), ("prompt_set, value: paper", "prompt_set, value: absent"))
    silent = changed(quick, ("name: quick", "name: mute"), ("prompt_set, value: paper", "prompt_set, value: english"))
    english = "name: english\nversion: 1\nsummary: no Japanese\ntemplates: {en: 'It shows {findings}.'}\njoiners: {en: ', '}\n"
    overlay_text(tmp_path, "baselines/no-set/recipe.yaml", absent)
    overlay_text(tmp_path, "baselines/mute/recipe.yaml", silent)
    overlay_text(tmp_path, "tasks/prompts/english.yaml", english)
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    assert run_command(["check", "no-set", "mute", "quick"]) == 1
    out = capsys.readouterr().out
    assert "unknown prompt set 'absent'" in out and "has no sentence in" in out and "3 checked, 2 faults" in out


@pytest.mark.parametrize("torn", [b"id,label_en\n", b"id,label_en,label_ja\nx,\xff,y\n", b'id,label_en,label_ja\n"x'])
def test_a_torn_label_table_leaves_ls_and_check_standing(
    torn: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = (("name: retrieval98", "name: mine"), ("labels98.csv", "torn.csv"))
    overlay_text(tmp_path, "tasks/mine.yaml", changed("tasks/retrieval98.yaml", *changes))
    (tmp_path / "tasks" / "torn.csv").write_bytes(torn)
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    assert run_command(["ls", "tasks", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["mine"]["summary"].startswith("BROKEN: ") and rows["superclass"]["classes"] == 5
    assert run_command(["check", "mine"]) == 1
    assert capsys.readouterr().out.count("FAULT") == 1


def test_a_disk_that_refuses_is_one_line_and_exit_1(
    overlay: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECGBENCH_CACHE", "/dev/null/x")
    line = f"run --encoder pooled --text random --data tiny --epochs 1 --out {tmp_path}"
    assert run_command(line.split()) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines()[-1].startswith("ecgbench: cannot read or write '/dev/null/x")
    assert err.rstrip().endswith("Not a directory.") and "Traceback" not in err


def test_a_full_disk_is_one_line_and_exit_1() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full, which stands for a full disk")
    with full.open("w", encoding="utf-8") as out:
        line = [sys.executable, "-m", "ecgbench", "ls", "tasks"]
        done = subprocess.run(line, stdout=out, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (1, "ecgbench: cannot read or write: No space left on device.\n")


def test_blanks_between_task_names_do_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["run", "--encoder", "resnet1d18", "--text", "random", "--out", str(tmp_path), "--tasks"]
    assert run_command([*line, "superclass, rythm"]) == 2
    assert "unknown task 'rythm'" in capsys.readouterr().err


def test_a_run_prints_its_tables_and_json_alone(
    overlay: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"run --encoder pooled --text random --data tiny --epochs 1 --out {tmp_path}".split()
    assert run_command(line) == 0
    out, err = capsys.readouterr()
    assert all(f"\n{task}: " in out for task in ("retrieval98", "superclass", "rhythm", "mitbih")) and "Result:" in err
    assert run_command([*line, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["status"] == "ok" and "done already" in err


def test_tables_align_wide_characters() -> None:
    from wcwidth import wcswidth

    text = table(["class", "日本語", "n"], [["af", "心房細動", 3], ["normal-ecg", "正常", 12]], right=[2])
    assert len({wcswidth(line) for line in text.splitlines()}) == 1


def test_doctor_passes_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["doctor"]) == 0
    assert "every card is valid" in capsys.readouterr().out
