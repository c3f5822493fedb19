"""`ecgbench text`: its verbs put together."""

from __future__ import annotations

import typer

from ecgbench.cli import text_cache, text_embed, text_pack, text_show

text = typer.Typer(
    help="Text towers: what their vectors are like, which are kept, and packs that stand in for a model.",
    epilog="First steps: ecgbench text show use-multilingual · ecgbench text cache · ecgbench text import pack.safetensors",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
text.command(epilog=text_show.EPILOG)(text_show.show)
text.command(epilog=text_embed.EPILOG)(text_embed.embed)
text.command(epilog=text_cache.EPILOG)(text_cache.cache)
text.command(epilog=text_pack.EXPORT_EPILOG)(text_pack.export)
text.command("import", epilog=text_pack.IMPORT_EPILOG)(text_pack.import_)


def add_to(app: typer.Typer) -> None:
    app.add_typer(text, name="text")
