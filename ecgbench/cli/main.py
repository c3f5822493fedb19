"""`ecgbench`: the verbs put together, and errors turned into one line and an exit code.

Exit 0: done. 1: a run, or a check, failed, or the disk refused (full, no permission). 2: the request was wrong.
130: stopped by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from ecgbench.cli import (
    check,
    compare,
    data,
    doctor,
    evaluate,
    leaderboard,
    listing,
    new,
    predict,
    report,
    rescore,
    run,
    show,
    submit,
    sweep,
    text,
)
from ecgbench.errors import EcgbenchError, RunFailedError
from ecgbench.processes import LeaderFailedError, rank

app = typer.Typer(
    name="ecgbench",
    help="Benchmark and evaluation toolkit for ECG-text contrastive models.",
    epilog="First steps: ecgbench ls · ecgbench show resnet1d18 · ecgbench run --encoder resnet1d18 --text use-multilingual",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def overall(
    context: typer.Context,
    path: Annotated[
        list[Path] | None,
        typer.Option("--path", help="A folder with your own cards (registry/, tasks/, baselines/); may be repeated."),
    ] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Options before the verb."""
    if path:
        given = [*filter(None, [os.environ.get("ECGBENCH_PATH")]), *map(str, path)]
        os.environ["ECGBENCH_PATH"] = os.pathsep.join(given)
    if version:
        import ecgbench

        typer.echo(ecgbench.__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for module in (
    run,
    evaluate,
    predict,
    report,
    listing,
    show,
    check,
    new,
    data,
    text,
    rescore,
    compare,
    leaderboard,
    submit,
    sweep,
    doctor,
):
    module.add_to(app)


def main() -> None:
    """The console script."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Carry out a command line and return its exit code; wrong input is one line on stderr, never a traceback."""
    try:
        code = app(arguments, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except EcgbenchError as error:
        return _end(str(error), 2)
    except RunFailedError as error:
        return _end(f"the run failed: {error}", 1)
    except LeaderFailedError:
        return 1
    except TyperException as error:
        return _end(
            f"{' '.join(error.format_message().split()).rstrip('.')}. Type `ecgbench {_verb(arguments)}--help`.", 2
        )
    except (KeyboardInterrupt, typer.Abort):
        return _end("stopped.", 130)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - the reader of our output has gone; nothing more to say
        return 0
    except OSError as error:
        if error.strerror is None:  # raised by a library with words of its own, not by the system
            raise
        where = f" '{os.fsdecode(error.filename)}'" if isinstance(error.filename, (str, bytes)) else ""
        return _end(f"cannot read or write{where}: {error.strerror}.", 1)


def _end(message: str, code: int) -> int:
    if rank() == 0 or code != 2:  # a wrong request is wrong in each of several processes
        print(f"ecgbench{f' (process {rank()})' if rank() else ''}: {message}", file=sys.stderr)
    return code


def _verb(arguments: list[str]) -> str:
    """The verb in a command line, with the second word of a verb that has several (`data build`), for the help hint."""
    seconds: dict[str, set[str]] = {verb: set() for verb in _commands(app)}
    for group in app.registered_groups:
        if group.name and group.typer_instance:
            seconds[group.name] = _commands(group.typer_instance)
    for place, word in enumerate(arguments):
        if word in seconds:
            second = next((later for later in arguments[place + 1 :] if later in seconds[word]), None)
            return f"{word} {second} " if second else f"{word} "
    return ""


def _commands(of: typer.Typer) -> set[str]:
    return {info.name or info.callback.__name__ for info in of.registered_commands if info.callback}


if __name__ == "__main__":
    main()
