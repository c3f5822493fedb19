"""The job that checks boards on pull requests: what it installs is enough, and it is given nothing to lose."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import yaml
from leaderboard_made import make

from ecgbench.leaderboard import write_pages

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CHECK = """
import sys
from importlib.metadata import packages_distributions
allowed, known = {*sys.argv[2].split(), "ecgbench-clip"}, packages_distributions()

class OnlyWhatIsInstalled:
    def find_spec(self, name, path=None, target=None):
        packages = {each.lower().replace("_", "-") for each in known.get(name.partition(".")[0], [])}
        if packages and not packages & allowed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, OnlyWhatIsInstalled())
from ecgbench.cli.main import run_command
sys.exit(run_command(["leaderboard", "--check", "--folder", sys.argv[1]]))
"""


def installed_by(text: str) -> set[str]:
    """The packages of the `pip install` line of a text, normalised."""
    (line,) = re.findall(r"pip install (numpy .*)", text)
    return set(line.split())


def with_what_they_need(names: set[str]) -> set[str]:
    """Packages with all that they require without extras."""
    found: set[str] = set()
    waiting = {name.lower() for name in names}
    while waiting:
        name = waiting.pop()
        found.add(name.replace("_", "-"))
        try:
            needed = [each for each in requires(name) or [] if "extra ==" not in each]
        except PackageNotFoundError:  # of another system or Python
            continue
        waiting |= {re.split(r"[^A-Za-z0-9._-]", each)[0].lower() for each in needed} - found
    return found


def test_the_boards_job_installs_all_that_a_check_imports(tmp_path: Path) -> None:
    make(tmp_path / "results", "a", tasks=("superclass",))
    write_pages(tmp_path)
    job = with_what_they_need(installed_by((ROOT / ".github" / "workflows" / "boards.yml").read_text("utf-8")))
    assert "torch" not in job and "pandas" not in job
    for packages, code in ((job, 0), (job - {"scipy"}, 1)):
        words = [sys.executable, "-c", CHECK, str(tmp_path), " ".join(packages)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
    assert "No module named 'scipy'" in done.stderr


def test_the_page_installs_what_the_job_does() -> None:
    page, job = (
        path.read_text("utf-8") for path in (ROOT / "docs" / "submit.md", ROOT / ".github/workflows/boards.yml")
    )
    assert installed_by(page) == installed_by(job)


def test_jobs_may_only_read_and_have_no_secrets() -> None:
    assert {path.name for path in WORKFLOWS} == {"boards.yml", "ci.yml"}
    for path in WORKFLOWS:
        text = path.read_text("utf-8")
        told = yaml.safe_load(text)
        assert told["permissions"] == {"contents": "read"}
        events = told[True]  # YAML reads `on` as true
        assert set(events) <= {"pull_request", "push"}, "pull_request_target would run a fork's code with our rights"
        assert "secrets." not in text
        for job in told["jobs"].values():
            for step in job["steps"]:
                assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/x@v1"))
                if step.get("uses", "").startswith("actions/checkout"):
                    assert step["with"]["persist-credentials"] is False
