"""ecgbench: a benchmark and evaluation toolkit for ECG-text contrastive models.

`import ecgbench` is instant; what needs torch is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["EcgbenchError", "Recording", "Result", "__version__", "encoder", "load_run", "open_store", "read", "run"]

_LAZY = {
    "EcgbenchError": "ecgbench.errors",
    "Recording": "ecgbench.ecg.recording",
    "Result": "ecgbench.results",
    "encoder": "ecgbench.encoders.plugins",
    "load_run": "ecgbench.pipeline.loaded",
    "open_store": "ecgbench.ecg.store",
    "read": "ecgbench.ecg.reading",
    "run": "ecgbench.pipeline.run",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'ecgbench' has no attribute '{name}'")
