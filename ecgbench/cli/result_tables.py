"""A result as tables for a terminal."""

from __future__ import annotations

import re
import statistics
from typing import TYPE_CHECKING

from ecgbench.cli.tables import interval, number, table

if TYPE_CHECKING:
    from ecgbench.results import PieceScore, Result, TaskScore

PROBE = re.compile(r"(?P<task>.+)-(?P<share>[0-9.]+)pct(?:-seed[0-9]+)?")
"""The name of one probe of a task."""
MOST_GROUPS = 12
"""Rows of groups that are printed; a data set may have fifty sites."""


def result_tables(result: Result) -> str:
    """One table a task with its controls, and for zero-shot sets one of its classes."""
    trained = result.recipe.fields["language"]
    asked = {identity.language for identity in result.comparable.values()} - {trained}
    head = (
        f"Run {result.run_id}: {result.encoder.name} x {result.text.name} on {result.data.name}, recipe "
        f"{result.recipe.name}, language {trained}{', asked in ' + ' '.join(asked) if asked else ''}, seed {result.seed}"
        f"{'' if result.control == 'none' else ', control ' + result.control}"
        f"{f'; trained on {result.trained_on.data} (run {result.trained_on.run_id})' if result.trained_on else ''}"
    )
    probes = {name: found for name in result.tasks if (found := PROBE.fullmatch(name))}
    parts = [task_table(name, task, result) for name, task in result.tasks.items() if name not in probes]
    for task in dict.fromkeys(found["task"] for found in probes.values()):
        parts.append(probe_table(task, result))
    groups = group_table(result)
    return "\n\n".join([head, *parts, *([groups] if groups else [])])


def task_table(name: str, task: TaskScore, result: Result) -> str:
    classes = len(task.per_class)
    head = (
        f"{name}: {task.n_records} test records of {task.n_patients} patients, {task.n_instances} label instances; "
        f"{task.n_present} of {classes} classes present, {len(task.few)} of them with under 10 positives (†)"
    )
    references = result.references
    rows = []
    for metric, value in task.metrics.items():
        controls = (
            [getattr(references, which)[name].metrics[metric].value for which in ("majority", "untrained")]
            if references
            else [None, None]
        )
        rows.append(
            [metric, number(value.value), interval(value.ci), *map(number, [value.chance, *controls, value.ceiling])]
        )
    headers = ["metric", "value", "95 % interval", "chance", "majority", "untrained", "ceiling"]
    text = f"{head}\n\n{table(headers, rows, right=range(1, 7))}"
    text += f"\n\n{part_table(task.parts)}" if task.parts else ""
    return f"{text}\n\n{class_table(task)}" if classes <= 30 else text


def class_table(task: TaskScore) -> str:
    rows = [
        [f"{name}{' †' if name in task.few else ''}", score.n, number(score.accuracy), interval(score.accuracy_ci),
         number(score.auroc), interval(score.auroc_ci)]
        for name, score in task.per_class.items()
    ]  # fmt: skip
    headers = ["class", "n", "accuracy", "95 % interval", "AUROC", "95 % interval"]
    return table(headers, rows, right=range(1, 6))


def part_table(parts: dict[str, PieceScore]) -> str:
    """Seen and unseen findings beside each other, ranked together on the same records."""
    rows = []
    for metric in next(iter(parts.values())).metrics:
        cells: list[object] = [metric]
        for part in parts.values():
            cells += [number(part.metrics[metric].value), interval(part.metrics[metric].ci)]
        rows.append(cells)
    named = [f"{name} (n={part.n_instances})" for name, part in parts.items()]
    headers = ["metric", *(title for name in named for title in (name, "95 % interval"))]
    return table(headers, rows, right=range(1, len(headers)))


def probe_table(task: str, result: Result) -> str:
    """A linear probe: the mean and standard deviation over its draws, a column a share; no intervals are mixed in."""
    shares: dict[str, list[TaskScore]] = {}
    untrained: dict[str, list[TaskScore]] = {}
    for name, score in result.tasks.items():
        found = PROBE.fullmatch(name)
        if found and found["task"] == task:
            shares.setdefault(found["share"], []).append(score)
            if result.references:
                untrained.setdefault(found["share"], []).append(result.references.untrained[name])
    some = next(iter(shares.values()))[0]
    head = (
        f"{task}: {some.n_records} test records of {some.n_patients} patients; mean ± sd over draws of the training records, "
        "of the trained and of the untrained encoder's features"
    )
    columns = sorted(shares, key=float)
    rows = [
        [
            metric,
            *(
                cell
                for share in columns
                for cell in (_over(shares[share], metric), _over(untrained.get(share, []), metric))
            ),
        ]
        for metric in some.metrics
    ]
    headers = ["metric", *(title for share in columns for title in (f"{share} %", "untrained"))]
    return f"{head}\n\n{table(headers, rows, right=range(1, len(headers)))}"


def _over(scores: list[TaskScore], metric: str) -> str:
    values = [value for score in scores if (value := score.metrics[metric].value) is not None]
    if not values:
        return number(None)
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{number(statistics.fmean(values))}{spread}"


def group_table(result: Result) -> str:
    """Every task by sex, age band and site, in its primary metric; '' where nothing of that is known."""
    tasks = {name: task for name, task in result.tasks.items() if task.groups and not PROBE.fullmatch(name)}
    kinds = list(
        dict.fromkeys((kind, value) for task in tasks.values() for kind in task.groups for value in task.groups[kind])
    )
    if not kinds:
        return ""
    shown = kinds[:MOST_GROUPS]
    rows = [
        [f"{kind.replace('_', ' ')} {value}", *(cell for task in tasks.values() for cell in _piece(task, kind, value))]
        for kind, value in shown
    ]
    names = [f"{name} {next(iter(_any_piece(task).metrics))}" for name, task in tasks.items()]
    headers = ["group", *(title for name in names for title in ("records", name, "95 % interval"))]
    more = f"\n… and {len(kinds) - len(shown)} more in result.json" if len(kinds) > len(shown) else ""
    return f"By sex, age and site, where known\n\n{table(headers, rows, right=range(1, len(headers)))}{more}"


def _any_piece(task: TaskScore) -> PieceScore:
    return next(piece for values in task.groups.values() for piece in values.values())


def _piece(task: TaskScore, kind: str, value: str) -> list[object]:
    piece = task.groups.get(kind, {}).get(value)
    if piece is None:
        return [0, number(None), number(None)]
    metric = next(iter(piece.metrics.values()))
    return [piece.n_records, number(metric.value), interval(metric.ci)]
