"""Which finding belongs to which class of a zero-shot set under each mapping, and why two mappings differ."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from ecgbench.cards import TaskCard
from ecgbench.cli.tables import MISSING, table
from ecgbench.findings import LabelBank, label_bank

WIDTHS = {"finding": 42, "所見": 26}
CLASS_WIDTH = 22
WHY_WIDTH = 116


@dataclass(frozen=True)
class Mapped:
    """A finding, its class under each mapping ('' for none), and why these differ ('' where they agree or none is told)."""

    id: str
    names: dict[str, str]
    classes: dict[str, str]
    why: str

    @property
    def differs(self) -> bool:
        return len(set(self.classes.values())) > 1


def mapped_findings(card: TaskCard, bank: LabelBank) -> list[Mapped]:
    """Every finding that has a class under some mapping, by class in the card's order, then in label-table order. The reason
    stands in the label table's column `TASK_why`, else in `note`."""
    columns = {str(mapping): bank.column(column) for mapping, column in card.mappings.items()}
    place = {item.value: number for number, item in enumerate(card.classes)}
    found = []
    for finding in bank.findings:
        classes = {mapping: column.get(finding.id, "") for mapping, column in columns.items()}
        if any(classes.values()):
            differs = len(set(classes.values())) > 1
            told = finding.columns.get(f"{card.name}_why") or finding.columns.get("note") or ""
            found.append(Mapped(finding.id, finding.names, classes, told if differs else ""))
    return sorted(found, key=lambda each: place.get(next(filter(None, each.classes.values())), len(place)))


def mapping_json(card: TaskCard) -> list[dict[str, Any]]:
    """The same as JSON; null for no class and for no reason."""
    return [
        {"finding": each.id, **{key: value or None for key, value in each.classes.items()}, "why": each.why or None}
        for each in mapped_findings(card, label_bank(card.labels))
    ]


def mapping_text(card: TaskCard) -> str:
    """The classes with their number of findings, then each finding with its class under each mapping; below one that
    differs, why."""
    bank = label_bank(card.labels)
    found = mapped_findings(card, bank)
    sizes = [
        [sum(each.classes[str(mapping)] == item.value for each in found) for mapping in card.mappings]
        for item in card.classes
    ]
    heads = [f"n {mapping}" for mapping in card.mappings]
    named = [
        (item.id, item.names.get("ja"), item.names.get("en"), *size)
        for item, size in zip(card.classes, sizes, strict=True)
    ]
    classes = table(["class", "日本語", "English", *heads], named, right=range(3, 3 + len(heads)))
    return f"{classes}\n\n{_counted(found, bank)}\n\n{_explained(found)}"


def _counted(found: list[Mapped], bank: LabelBank) -> str:
    differing = sum(each.differs for each in found)
    text = f"{len(found)} of the {len(bank)} findings of {bank.table} have a class; the others are not asked for."
    return (
        f"{text}\n{differing} of them have one class under one mapping and another, or none, under the other."
        if differing
        else text
    )


def _explained(found: list[Mapped]) -> str:
    mappings = list(found[0].classes) if found else []
    rows: list[list[str]] = []
    ends: dict[int, str] = {}
    for each in found:
        cells = [wrapped(each.names["en"], WIDTHS["finding"]), wrapped(each.names["ja"], WIDTHS["所見"])]
        cells += [wrapped(each.classes[mapping] or MISSING, CLASS_WIDTH) for mapping in mappings]
        rows += [list(line) for line in zip_longest(*cells, fillvalue="")]
        ends[len(rows)] = each.why
    head, rule, *lines = table([*WIDTHS, *mappings], rows).split("\n")
    shown = [head, rule]
    for number, line in enumerate(lines, start=1):
        shown.append(line.rstrip())
        if ends.get(number):
            shown += [f"  {part}" for part in wrapped(f"why: {ends[number]}", WHY_WIDTH)]
    return "\n".join(shown)


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most so many columns of a terminal, broken at spaces, and within a word that is wider (Japanese
    has no spaces)."""
    from wcwidth import wcswidth

    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if wcswidth(longer) <= width:
            lines[-1] = longer
            continue
        lines += [""] if lines[-1] else []
        for letter in word:
            if wcswidth(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines
