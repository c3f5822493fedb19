"""A drawn sheet -> a file: SVG as it is, PNG by resvg."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ecgbench.errors import EcgbenchError
from ecgbench.files import atomic_path, write_text

DOTS_AN_INCH = 150


def check_sheet_file(path: Path) -> None:
    """EcgbenchError where a sheet cannot be written under that name."""
    if path.suffix.lower() not in (".svg", ".png"):
        raise EcgbenchError(f"--plot {path} is neither SVG nor PNG: write a name that ends in .svg or .png.")
    if path.suffix.lower() == ".png" and find_spec("resvg_py") is None:
        raise EcgbenchError(
            f"--plot {path} needs a package that draws SVG as PNG: pip install 'ecgbench-clip[png]', or write a name that "
            "ends in .svg."
        )


def write_sheet(path: Path, svg: str) -> None:
    """Write a sheet as SVG or PNG, whole or not at all. Japanese is drawn in the system's fonts."""
    check_sheet_file(path)
    if path.suffix.lower() == ".svg":
        write_text(path, svg)
        return
    import resvg_py

    picture = resvg_py.svg_to_bytes(svg_string=svg, dpi=DOTS_AN_INCH)
    with atomic_path(path) as temporary:
        temporary.write_bytes(bytes(picture))
