"""Generated and real normal ECGs side by side: the same analyser on both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import stats

from tests.proof.measure import Measured

INTERVALS = {
    "heart rate (1/min)": "rate_bpm",
    "RR variation": "rr_variation",
    "P (ms)": "p_ms",
    "PR (ms)": "pr_ms",
    "QRS (ms)": "qrs_ms",
    "QT (ms)": "qt_ms",
    "QTc Fridericia (ms)": "qtc_ms",
    "axis (degrees)": "axis_deg",
    "transition (lead)": "transition",
    "Sokolow (mV)": "sokolow_mv",
    "P in II (mV)": "p_ii_mv",
}
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
WAVES = {"R": "r_mv", "S": "s_mv", "ST": "st_mv", "T": "t_mv"}
SHOWN = (5, 25, 50, 75, 95)


def quantities() -> dict[str, Callable[[Measured], float]]:
    """What is compared, by the name it has in the table."""
    found: dict[str, Callable[[Measured], float]] = {
        title: (lambda m, key=key: m.numbers.get(key, np.nan)) for title, key in INTERVALS.items()
    }
    for wave, key in WAVES.items():
        for lead in LEADS:
            found[f"{wave} {lead} (mV)"] = lambda m, lead=lead, key=key: m.leads.get(lead, {}).get(key, np.nan)
    return found


def percentiles(measured: list[Measured], get: Callable[[Measured], float]) -> np.ndarray:
    """The `SHOWN` percentiles of a quantity, over the ECGs in which it could be measured."""
    values = np.array([get(one) for one in measured], dtype=np.float64)
    return np.nanpercentile(values, SHOWN)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """1 - the Kolmogorov-Smirnov distance of two samples: 1 where they are distributed alike, 0 where they are apart."""
    return float(1 - stats.ks_2samp(a[~np.isnan(a)], b[~np.isnan(b)]).statistic)


def compared(generated: list[Measured], real: list[Measured]) -> list[list[str]]:
    """One row a quantity: percentiles of generated and of real normals, and their overlap."""
    table = []
    for title, get in quantities().items():
        ours, theirs = percentiles(generated, get), percentiles(real, get)
        digits = 0 if "(ms)" in title or "degrees" in title or "1/min" in title else 2
        alike = overlap(np.array([get(m) for m in generated]), np.array([get(m) for m in real]))
        table.append([title, _written(ours, digits), _written(theirs, digits), f"{alike:.2f}"])
    return table


def _written(values: np.ndarray, digits: int) -> str:
    shown = [f"{value:.{digits}f}" for value in values]
    return f"{shown[2]} ({shown[1]} to {shown[3]}; {shown[0]} to {shown[4]})"


def draw(generated: list[Measured], real: list[Measured], path: Path) -> None:
    """Box plots side by side: rate and intervals above, R and S by lead below; an SVG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "synth98", "font.size": 9})
    figure = plt.figure(figsize=(11, 7.5), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.25])
    shown = [title for title in INTERVALS if title not in ("RR variation", "P in II (mV)", "transition (lead)")]
    for axes, title in zip(above.subplots(1, len(shown)), shown, strict=True):
        get = quantities()[title]
        _boxes(axes, [[get(m) for m in generated]], [[get(m) for m in real]], [""])
        axes.set_title(title, fontsize=8)
        axes.set_xticks([])
    for axes, wave in zip(below.subplots(1, 2), ("R", "S"), strict=True):
        gets = [quantities()[f"{wave} {lead} (mV)"] for lead in LEADS]
        _boxes(axes, [[g(m) for m in generated] for g in gets], [[g(m) for m in real] for g in gets], list(LEADS))
        axes.set_title(f"{wave} wave (mV)", fontsize=9)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in ("#4477aa", "#ee6677")]
    figure.legend(
        handles, [f"synth98 ({len(generated)})", f"PTB-XL ({len(real)})"], loc="outside lower center", ncols=2
    )
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _boxes(axes, ours: list[list[float]], theirs: list[list[float]], names: list[str]) -> None:  # type: ignore[no-untyped-def]
    for values, shift, colour in ((ours, -0.2, "#4477aa"), (theirs, 0.2, "#ee6677")):
        clean = [np.array(v)[~np.isnan(v)] for v in values]
        box = axes.boxplot(
            clean, positions=np.arange(len(clean)) + shift, widths=0.34, whis=(5, 95), showfliers=False,
            patch_artist=True, medianprops={"color": "black"},
        )  # fmt: skip
        for patch in box["boxes"]:
            patch.set_facecolor(colour)
    axes.set_xticks(np.arange(len(names)), names, fontsize=8)
    axes.grid(axis="y", alpha=0.3)
