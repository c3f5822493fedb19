"""`ecgbench data info`: what is in a store, and which findings it can test."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgbench.cli.run import Terminal
from ecgbench.cli.tables import table

if TYPE_CHECKING:
    from ecgbench.ecg.coverage import Covered
    from ecgbench.ecg.store import Store

EPILOG = "Examples: ecgbench data info store · ecgbench data info synth98 --json"
SPLITS = ("train", "validation", "test")
MOST_SHOWN = 5
"""Ids of a list that a brief report shows."""
WHY_NOT = {
    "not in test": "in no test record",
    "no record": "in no record",
    "near code": "never, as the data set's nearest code says something else",
    "no code": "never, as the data set has no code for it",
}
"""State of a finding that cannot be tested -> how that is said."""


def info(
    source: Annotated[
        str,
        typer.Argument(
            metavar="DIR|SOURCE", help="A built store's folder, or a source, which is built into the cache."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what is in a store: records and patients by split and by finding, and which findings it can test."""
    from ecgbench.ecg.build import store_for

    terminal = Terminal()
    with terminal.stage(f"Building the store of {source}") as progress:
        store = store_for(source, progress)
    told = facts(store)
    typer.echo(json.dumps(told, ensure_ascii=False, indent=2) if as_json else report(store, told))


def facts(store: Store) -> dict[str, Any]:
    """The manifest, records and patients by split and by finding, and the findings that are not there, as JSON."""
    from ecgbench.ecg.coverage import FEW, coverage
    from ecgbench.findings import label_bank

    bank = label_bank(store.manifest.labels)
    covered = coverage(store)
    return {
        "folder": str(store.folder),
        **store.manifest.model_dump(mode="json"),
        "patients": int(store.records["patient"].nunique()),
        "splits": {split: _of(store.records[store.records["split"] == split]) for split in SPLITS},
        "findings": [
            {"id": each.id, "en": bank[each.id].names["en"], "ja": bank[each.id].names["ja"], **_counts(each)}
            for each in covered if each.records["all"]
        ],
        "coverage": {
            "labels": len(bank),
            "tested": [each.id for each in covered if each.state == "tested"],
            f"tested_under_{FEW}_records": [each.id for each in covered if each.few],
            "tested_not_trained": [each.id for each in covered if each.untrained],
            **{state.replace(" ", "_"): [each.id for each in covered if each.state == state] for state in WHY_NOT},
        },
    }  # fmt: skip


def _of(rows: Any) -> dict[str, int]:
    return {"records": len(rows), "patients": int(rows["patient"].nunique())}


def _counts(each: Covered) -> dict[str, dict[str, int]]:
    return {name: {"records": each.records[name], "patients": each.patients[name]} for name in (*SPLITS, "all")}


def report(store: Store, told: dict[str, Any], *, brief: bool = False) -> str:
    """All that is said of a store; `told` are its `facts`. `brief`: long lists of findings are cut."""
    return "\n\n".join([summary(store, told), label_table(told), coverage_text(told, brief=brief)])


def summary(store: Store, told: dict[str, Any]) -> str:
    """A store in a few lines."""
    about = store.manifest
    splits = ", ".join(f"{split} {n['records']} of {n['patients']} patients" for split, n in told["splits"].items())
    lines = [
        f"{about.name}, version {about.version}: {about.records} records of {told['patients']} patients",
        f"splits: {splits}",
        f"findings: {len(told['findings'])} of the {told['coverage']['labels']} in {about.labels}, "
        f"{sum(row['all']['records'] for row in told['findings']) / max(1, about.records):.2f} a record",
        f"data hash: {about.data_hash}",
        f"left out: {len(about.damaged)} damaged, {len(about.duplicates)} duplicates; "
        f"clipped: {about.clipped_records}; resampled: {about.resampled_records}",
        f"public: {'yes' if about.public else 'no'}; licence: {about.licence or 'not stated'}",
        *_remarks(about.remarks),
    ]
    return "\n".join(lines)


def _remarks(remarks: dict[str, Any]) -> list[str]:
    """What source and build had to say, as far as a person should know it."""
    lines = []
    if remarks.get("raised_by_floor"):
        lines.append(
            f"{len(remarks['raised_by_floor'])} findings have more records than their share, "
            f"{remarks['excess_records']:g} in all, so that each has {remarks['floor_patients']} patients or more"
        )
    if "splits" in remarks:
        said = remarks["splits"]
        lines.append(f"splits dealt out by {said['by']}, seed {said['seed']}, stratified over findings")
    if remarks.get("formats"):
        lines.append("formats: " + ", ".join(f"{name} {count}" for name, count in sorted(remarks["formats"].items())))
    lines += [f"{what} ({count} records)" for what, count in sorted(remarks.get("treated", {}).items())]
    if remarks.get("columns_read"):
        lines.append(f"columns read: {', '.join(remarks['columns_read'])}; others were not")
    unknown = remarks.get("unknown_findings", {})
    if unknown.get("wordings"):
        lines.append(f"{unknown['instances']} findings of {unknown['wordings']} unknown wordings: {unknown['are']}")
    for key, what in (("codes_without_finding", "codes"), ("most_frequent_not_matched", "statements")):
        if remarks.get(key):
            named = ", ".join(f"{code} ({count})" for code, count in list(remarks[key].items())[:5])
            lines.append(f"the most frequent {what} that mean no finding of the label table: {named}")
    return lines


def label_table(told: dict[str, Any]) -> str:
    """Records (patients) of every finding there is, by split."""
    few = {name for key, names in told["coverage"].items() if key.startswith("tested_under") for name in names}
    columns = (*SPLITS, "all")
    rows = [
        [
            f"{row['en']}{' †' if row['id'] in few else ''}",
            row["ja"],
            *(f"{row[split]['records']} ({row[split]['patients']})" for split in columns),
        ]
        for row in told["findings"]
    ]
    head = "Records (patients) by finding; † under 10 test records"
    return f"{head}\n\n{table(['finding', '所見', *columns], rows, right=range(2, 6))}"


def coverage_text(told: dict[str, Any], *, brief: bool = False) -> str:
    """How many findings can be tested, and for each reason why others cannot, which ones."""
    covered = told["coverage"]
    few = next(names for key, names in covered.items() if key.startswith("tested_under"))
    parts = [
        f"Can be tested: {len(covered['tested'])} of {covered['labels']} findings, {len(few)} of them on under 10 records."
    ]
    said_of = {"tested_not_trained": "Tested, and in no training record"}
    said_of |= {state.replace(" ", "_"): f"Cannot be tested, {said}" for state, said in WHY_NOT.items()}
    for key, said in said_of.items():
        if covered[key]:
            parts.append(f"{said} ({len(covered[key])}):\n{_listed(covered[key], brief)}")
    return "\n".join(parts)


def _listed(names: list[str], brief: bool) -> str:
    """Ids in lines that a terminal holds."""
    shown = names[:MOST_SHOWN] if brief and len(names) > MOST_SHOWN + 1 else names
    more = f" and {len(names) - len(shown)} more (`ecgbench data info` lists them)" if len(shown) < len(names) else ""
    return textwrap.fill(
        ", ".join(shown) + more, 110, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )
