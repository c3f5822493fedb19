"""Boards as self-contained HTML pages, from the rows that the markdown pages are made of."""

from __future__ import annotations

from ecgbench.leaderboard.html.page import HTML_INDEX, board_html, index_html

__all__ = ["HTML_INDEX", "board_html", "index_html"]
