"""Ctrl-C in training, told apart from a failure. Here, because asking for it must not import torch."""

from __future__ import annotations


class StoppedError(Exception):
    """Training was stopped by Ctrl-C after a checkpoint was written."""
