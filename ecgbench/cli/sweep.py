"""`ecgbench sweep`: a grid of runs, here or on a cluster, that ends in boards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgbench.cli.sweep_tables import outcome_text, plan_json, plan_text
from ecgbench.errors import EcgbenchError

if TYPE_CHECKING:
    from ecgbench.cli.run import Terminal
    from ecgbench.pipeline.sweep.plan import Plan
    from ecgbench.pipeline.sweep.readiness import Ready
    from ecgbench.pipeline.sweep.sweeping import Sweep

EPILOG = (
    "Examples: ecgbench sweep baselines/ablation-text/grid.yaml --dry-run · ecgbench sweep grid.yaml --workers 2 · "
    "ecgbench sweep grid.yaml --ray auto --gpus 1. How a grid is written: docs/sweep.md."
)


def sweep(
    grid: Annotated[
        Path, typer.Argument(metavar="GRID.yaml", help="Axes of encoders, text towers, recipes, seeds, ….")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where runs lie.")] = Path("runs"),
    data: Annotated[
        list[str] | None, typer.Option(metavar="SOURCE", help="In place of the grid's own data; may be repeated.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Prepare data and texts, print the plan with estimated times, run nothing."),
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Carry out again what failed.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Cells side by side; as many as the cores allow where left out."),
    ] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="auto|ADDRESS", help="Carry the cells out on this Ray cluster.")
    ] = None,
    gpus: Annotated[
        float,
        typer.Option(metavar="N", min=0, help="With --ray: accelerators for each cell; 0.5: two cells share one."),
    ] = 0.0,
    boards: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the grid's boards go; OUT/boards/NAME where left out.")
    ] = None,
    add: Annotated[bool, typer.Option("--add", help="Put the results on the boards of --folder, too.")] = False,
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR", help="The boards that --add adds to.")] = Path(
        "leaderboards"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print plan or outcome as one JSON document.")] = False,
) -> None:
    """Carry out every run of a grid that is not done yet, and make boards of all of them."""
    from ecgbench.cli.run import Terminal
    from ecgbench.pipeline.sweep.boards import check_boards
    from ecgbench.pipeline.sweep.local import workers_here
    from ecgbench.pipeline.sweep.sweeping import planned

    _check_options(ray, workers, gpus, dry_run and add)
    terminal = Terminal()
    given = planned(grid, out, terminal, data=data or (), convert=not dry_run)
    target = boards or out / "boards" / given.grid.name
    check_boards(target)
    wanted = given.plan.wanted(retry_failed=retry_failed)
    if dry_run:
        at_once = None if ray else workers_here(workers, wanted)
        typer.echo(plan_json(given, given.plan) if as_json else plan_text(given.plan, wanted, at_once))
        return
    stopped = wanted and _carry_out(given, wanted, workers, ray, gpus)
    plan = given.looked_up_again()
    pages = [] if stopped else _make_boards(given, plan, target, folder if add else None, terminal)
    typer.echo(plan_json(given, plan) if as_json else outcome_text(plan, pages))
    if stopped:
        terminal.say("ecgbench: stopped; what was begun is kept: the same command goes on.")
        raise typer.Exit(130)
    if len(plan.of_state("done")) < len(plan.cells):
        raise typer.Exit(1)


def _check_options(ray: str | None, workers: int | None, gpus: float, adds_to_nothing: bool) -> None:
    if ray and workers is not None:
        raise EcgbenchError(
            "--workers and --ray were both given: a cluster decides by its cores how many cells it takes."
        )
    if gpus and not ray:
        raise EcgbenchError(
            "--gpus is for --ray: on one machine `ray start --head` and --ray auto share out its accelerators."
        )
    if adds_to_nothing:
        raise EcgbenchError("--dry-run and --add were both given: a plan has no results to add.")


def _carry_out(given: Sweep, wanted: list[Ready], workers: int | None, address: str | None, gpus: float) -> bool:
    """Carry the cells out, here or on the cluster; whether it was stopped on the way."""
    from ecgbench.pipeline.sweep.live import shown
    from ecgbench.pipeline.sweep.local import carry_out_here, workers_here
    from ecgbench.pipeline.sweep.progress import Progress
    from ecgbench.pipeline.sweep.stopping import Stopping
    from ecgbench.pipeline.sweep.sweeping import orders_of

    orders = orders_of(wanted, given.out)
    if address is None:
        at_once = workers_here(workers, wanted)
        progress = Progress(given.plan, wanted, given.out, at_once)
        with Stopping() as stopping, shown(progress) as show:
            carry_out_here(orders, at_once, progress, show, stopping.wanted)
        return progress.count("stopped") > 0
    from ecgbench.pipeline.sweep import cluster

    with cluster.connected(address, gpus) as connected, cluster.session(connected, orders) as session:
        progress = Progress(given.plan, wanted, given.out, 1)
        with Stopping() as stopping, shown(progress) as show:
            cluster.carry_out_there(connected, session, orders, progress, show, stopping.wanted)
        return progress.count("stopped") > 0


def _make_boards(given: Sweep, plan: Plan, target: Path, folder: Path | None, terminal: Terminal) -> list[Path]:
    """The grid's own boards of all that is done, and those that it is added to; the pages."""
    from ecgbench.leaderboard.adding import add_run
    from ecgbench.leaderboard.pages import write_pages
    from ecgbench.pipeline.sweep.boards import make_boards

    done = [cell.ready for cell in plan.of_state("done")]
    if not done:
        return []
    pages = make_boards(given.grid, done, given.out, target, terminal)
    if folder is not None:
        for each in done:
            add_run(given.out / each.run_id, folder)
        with terminal.stage(f"Making the boards of {folder}") as progress:
            pages += write_pages(folder, progress)
    return pages


def add_to(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(sweep)
