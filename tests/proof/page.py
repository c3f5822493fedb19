"""The generated pages of docs/synth98/: the proof table and the comparison of normal ECGs."""

from __future__ import annotations

from tabulate import tabulate

from ecgbench.ecg.sources.synth98.criteria import Criteria, Criterion
from ecgbench.findings import label_bank
from tests.proof.table import MET_AT_LEAST, MET_BY_NORMALS_AT_MOST, NORMAL, Row, faults

MADE_BY = "Made by `make proof`; do not edit.\n"


def proof_page(table: list[Row], knowledge: Criteria) -> str:
    """docs/synth98/proof.md."""
    bank = label_bank()
    cells = []
    for row in table:
        missed = ", ".join(f"{name} {count}" for name, count in row.missed.most_common(2))
        cells.append([
            f"{bank[row.label].names['en']} {bank[row.label].names['ja']}", f"`{row.label}`",
            f"{row.own[0]} / {row.own[1]}{'*' if row.label in faults() else ''}",
            "—" if row.label == NORMAL else _share(row.generated_normals),
            _share(row.real_normals), missed or "—",
        ])  # fmt: skip
    head = ["finding", "id", "met", "generated normals", "PTB-XL normals", "what was missed"]
    own = sum(row.own[0] for row in table), sum(row.own[1] for row in table)
    lines = [
        "# synth98 measured by tools that did not make it\n",
        MADE_BY,
        "For every finding: how many of its generated records meet its own written criterion "
        "(`ecgbench/ecg/sources/synth98/criteria.yaml`) as measured from the twelve leads by `tests/proof`, and how many normal "
        "ECGs meet it too. "
        f"Under {MET_AT_LEAST:.0%} would be a defect of the generator, over {MET_BY_NORMALS_AT_MOST:.0%} of the normals one of "
        "the criterion. The records are those of `synth98:balanced=20`, most of which hold several findings at once.\n",
        "What measures: beats by the vote of wfdb's xqrs and openecg's delineation; P waves by openecg with the averaged "
        "beat as second witness (and for waves that are not conducted); QRS bounds by the spatial velocity of the median "
        "beat, which openecg caps; the end of T by tangents; amplitudes, axis and ST from the median beat. It sees twelve "
        "leads and a rate, nothing of the generator, and its own checks are on real ECGs "
        "(`tests/unit/test_proof_measure.py`); its thresholds were set on such records, so they are no held-out test of it.\n",
        f"Met in all: {own[0]} of {own[1]} ({own[0] / own[1]:.1%}).\n",
        tabulate(cells, head, tablefmt="pipe", colalign=("left", "left", "right", "right", "right", "left")) + "\n",
    ]
    if faults():
        lines.append("\\* Explained by the analyser, each shown on a real ECG:\n")
        lines += [f"- `{label}`: {' '.join(why.split())}" for label, why in faults().items()]
        lines.append("")
    lines += ["## The criteria\n", "Every condition must hold; `…` is an open end; units are in the names.\n"]
    lines += [f"- `{label}`: {knows.says} {conditions(knows.criterion)}" for label, knows in knowledge.labels.items()]
    return "\n".join(lines) + "\n"


def conditions(criterion: Criterion) -> str:
    """A criterion as it is written, in one line of code."""
    said = criterion.model_dump(exclude_none=True, exclude_defaults=True)
    return "`" + "; ".join(f"{name} {_written(value)}" for name, value in said.items()) + "`"


def _written(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {_written(part)}" for name, part in value.items())
    if isinstance(value, tuple) and len(value) == 2 and not any(isinstance(part, str) for part in value):
        return " to ".join("…" if part is None else f"{part:g}" for part in value)
    if isinstance(value, (tuple, list)):
        return " or ".join(map(str, value))
    return str(value)


def _share(met_of: tuple[int, int]) -> str:
    met, of = met_of
    return f"{met} / {of}" if of else "—"


def normals_page(compared: list[list[str]], ours: int, real: int) -> str:
    """docs/synth98/normals.md."""
    head = ["quantity", "synth98", "PTB-XL", "overlap"]
    return "\n".join([
        "# Normal ECGs, generated and real\n",
        MADE_BY,
        f"The same analyser on {ours} normal records of `synth98:M` and on the {real} of PTB-XL's first 500 records that say "
        "nothing but normal ECG in sinus rhythm. Median (quartiles; 5th to 95th percentile). Overlap: 1 - the "
        "Kolmogorov-Smirnov distance of the two distributions; 1 is alike, 0 apart.\n",
        "![Box plots of rate, intervals, R and S of generated and real normals](normals.svg)\n",
        tabulate(compared, head, tablefmt="pipe", colalign=("left", "right", "right", "right")),
        "",
    ])  # fmt: skip
