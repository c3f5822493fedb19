"""result files -> pages. Nothing here imports torch."""

from __future__ import annotations

from ecgbench.leaderboard.collect import LeftOut, Submission, collect
from ecgbench.leaderboard.pages import build_pages, check_pages, write_pages

__all__ = ["LeftOut", "Submission", "build_pages", "check_pages", "collect", "write_pages"]
