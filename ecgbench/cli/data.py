"""`ecgbench data`: its verbs put together."""

from __future__ import annotations

import typer

from ecgbench.cli import data_build, data_check, data_ids, data_info, data_show

data = typer.Typer(
    help="Build stores of ECGs, say what is in them, find what is wrong in them, draw records.",
    epilog="First steps: ecgbench data build synth98 --out store · ecgbench data info store · ecgbench data show store s00001",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data.command(epilog=data_build.EPILOG)(data_build.build)
data.command(epilog=data_info.EPILOG)(data_info.info)
data.command(epilog=data_check.EPILOG)(data_check.check)
data.command(epilog=data_show.EPILOG)(data_show.show)
data.command(epilog=data_ids.EPILOG)(data_ids.ids)


def add_to(app: typer.Typer) -> None:
    app.add_typer(data, name="data")
