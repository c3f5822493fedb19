"""A run's own page: what it learnt, what it reached, and where it was right and wrong. Not a medical device."""

from __future__ import annotations

from ecgbench.pipeline.report.page import REPORT_FILE, leave_page, report_html, write_report

__all__ = ["REPORT_FILE", "leave_page", "report_html", "write_report"]
