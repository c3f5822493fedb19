"""A run's folder -> `report.html`, one file that needs nothing else: no script, no request to anywhere."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ecgbench.ecg.store import Store
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.probability import fit_curves, reliability
from ecgbench.evaluation.scores import Scores
from ecgbench.files import cache_folder, write_text
from ecgbench.pages.words import metric_title
from ecgbench.pipeline.report.curves import HEIGHT, WIDTH, charts
from ecgbench.pipeline.report.examples import Examples, examples
from ecgbench.pipeline.report.view import PROBE, RETRIEVAL, Calibrated, TaskView, task_views
from ecgbench.pipeline.report.words import said
from ecgbench.pipeline.reporting import Reporter
from ecgbench.results import Result, SplitCount, read_result

REPORT_FILE = "report.html"


def write_report(folder: Path, store: Store | None = None, *, with_signals: bool = False) -> Path:
    """Write the page of the run, or evaluation, in a folder from what lies there: result, log and scores.

    `store`: the data that it was scored on; without it a store of the cache with the same data hash is looked for, for the
    sheets alone. `with_signals`: draw records of a store that is not public.
    """
    result = read_result(folder / "result.json")
    if store is not None and store.data_hash != result.data.data_hash:
        raise EcgbenchError(
            f"run {result.run_id} was scored on other data than '{store.folder}': give the data that it was scored on."
        )
    path = folder / REPORT_FILE
    write_text(path, report_html(folder, result, store, with_signals=with_signals))
    return path


def leave_page(folder: Path, store: Store, reporter: Reporter) -> None:
    """As `write_report`, at the end of a run, which is done whether its page can be made or not: what stands in the way is
    said."""
    try:
        write_report(folder, store)
    except Exception as error:  # the result is written, and must not be lost to its page
        said = " ".join(str(error).split())[:300]
        reporter.say(
            f"{folder / REPORT_FILE} could not be made ({type(error).__name__}: {said}); `ecgbench report {folder}` tries again."
        )


def report_html(folder: Path, result: Result, store: Store | None = None, *, with_signals: bool = False) -> str:
    """The page's text."""
    tasks = task_views(result)
    shown = _shown_task(tasks)
    scores = _scores(folder, shown)
    calibrated = _calibrated(shown, scores)
    private = not result.data.public
    found, missing = None, ""
    if shown is None:
        missing = "failed" if result.status == "failed" else "no task"
    elif private and not with_signals:
        missing = "not public"
    elif scores is None:
        missing = "no scores"
    else:
        store = store or cached_store(result.data.data_hash)
        private = private or (store is not None and not store.manifest.public)
        if store is None:
            missing = "no store"
        elif private and not with_signals:
            missing = "not public"
        else:
            curves = calibrated.curves if calibrated else None
            named = store.manifest.ids != "kept"
            found = examples(scores, curves, shown.names, store, name_records=named)
    return _page(folder, result, tasks, shown, found, missing, private, calibrated)


def cached_store(data_hash: str) -> Store | None:
    """A store of the cache that holds exactly these data."""
    for manifest in sorted(cache_folder("stores").glob("*/manifest.json")):
        try:
            known = json.loads(manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(known, dict) and known.get("data_hash") == data_hash:
            return Store(manifest.parent)
    return None


def _shown_task(tasks: list[TaskView]) -> TaskView | None:
    """The task that examples are taken from: the findings, else the first that ranks classes."""
    ranking = [task for task in tasks if task.kind != PROBE]
    return next((task for task in ranking if task.kind == RETRIEVAL), next(iter(ranking), None))


def _scores(folder: Path, task: TaskView | None) -> Scores | None:
    path = folder / "scores" / f"{task.key}.npz" if task else None
    return Scores.load(path) if path and path.is_file() else None


def _calibrated(task: TaskView | None, scores: Scores | None) -> Calibrated | None:
    """Of a retrieval task: a zero-shot set has its temperature, and `ece` among its metrics."""
    if task is None or scores is None or task.kind != RETRIEVAL:
        return None
    curves = fit_curves(scores)
    return Calibrated(curves, reliability(curves, scores))


def _page(
    folder: Path,
    result: Result,
    tasks: list[TaskView],
    shown: TaskView | None,
    found: Examples | None,
    missing: str,
    private: bool,
    calibrated: Calibrated | None,
) -> str:
    template = _environment().get_template("run.html.jinja")
    page = template.render(
        result=result,
        tasks=[task for task in tasks if task.kind != PROBE],
        probes=[task for task in tasks if task.kind == PROBE],
        shown=shown,
        examples=found,
        missing=missing,
        private=private,
        calibrated=calibrated,
        charts=charts(folder),
        chart_size=(WIDTH, HEIGHT),
        style=Markup(_file("page.css")),
    )
    return page + "\n"


def _file(name: str) -> str:
    return (Path(__file__).with_name("templates") / name).read_text("utf-8")


def _number(value: float | None, digits: int = 3) -> str:
    return "—" if value is None else f"{value:.{digits}f}"


def _interval(pair: tuple[float, float] | None, digits: int = 3) -> str:
    return "" if pair is None else f"{pair[0]:.{digits}f} – {pair[1]:.{digits}f}"


def _plain(value: Any) -> str:
    """A setting as text."""
    if value is None:
        return "—"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_plain(each)}" for key, each in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _splits(splits: dict[str, SplitCount]) -> str:
    return ", ".join(f"{name}: {each.records} ({each.patients})" for name, each in splits.items())


@lru_cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ecgbench.pipeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(t=said, metric=metric_title)
    environment.filters.update(number=_number, interval=_interval, plain=_plain, plain_splits=_splits)
    return environment
