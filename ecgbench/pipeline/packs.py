"""Prompts embedded beforehand: into the cache, and from there into an embedding pack for those who lack the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ecgbench.cards import PromptSet, TextCard
from ecgbench.catalogue import all_cards, load_card
from ecgbench.ecg.build import labels_of, store_for
from ecgbench.ecg.sources import open_source, source_path
from ecgbench.ecg.store import Store
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank
from ecgbench.pipeline.reporting import Reporter
from ecgbench.pipeline.reports import has_report, report_prompts
from ecgbench.text.embed import Embedded, check_available, embed_prompts
from ecgbench.text.pack import refuse_controls, write_pack
from ecgbench.text.pack_prompts import Collected

LANGUAGES = ("ja", "en")


@dataclass(frozen=True)
class Wanted:
    """What to embed. `prompt_sets`: by name, all there are where None. `language`: both where None. `source`: whose training
    records' joined sentences to embed too, and with `reports` their reports."""

    card: TextCard
    prompt_sets: tuple[str, ...] | None = None
    language: str | None = None
    source: str | None = None
    reports: bool = False
    text_path: Path | None = None
    text_device: str = "auto"


@dataclass(frozen=True)
class Beforehand:
    """Which prompts were embedded, their vectors, and the data whose records they cover, where they cover any."""

    collected: Collected
    embedded: Embedded
    data_hash: str | None


def embed_beforehand(wanted: Wanted, reporter: Reporter) -> Beforehand:
    """Embed all that runs can ask a tower for. EcgbenchError for a name that no card carries, where the tower cannot be had,
    and where there is nothing to embed."""
    card, collected = wanted.card, labels_and_classes(wanted)
    if wanted.source is not None:
        labels_of(wanted.source)  # ends here where it is no source at all
    check_available(card, wanted.text_path, prompts=list(collected.prompts), device=wanted.text_device)
    data_hash = None
    if wanted.source is not None:
        with reporter.stage(f"Building the store of {wanted.source}") as progress:
            store = store_for(wanted.source, progress)
        add_records(collected, store, wanted.source, wanted.reports)
        data_hash = store.data_hash
    with reporter.stage(f"Embedding prompts with {card.name}") as progress:
        embedded = embed_prompts(
            card, list(collected.prompts), text_path=wanted.text_path, device=wanted.text_device, progress=progress
        )
    return Beforehand(collected, embedded, data_hash)


def labels_and_classes(wanted: Wanted) -> Collected:
    """The prompts that need no data."""
    if wanted.language not in (None, *LANGUAGES):
        raise EcgbenchError(f"--lang {wanted.language} is not known: write ja or en.")
    names = wanted.prompt_sets
    if names == ():
        raise EcgbenchError(
            "--prompts names no prompt set: write all, or names of `ecgbench ls prompts` apart by commas."
        )
    sets = all_cards(PromptSet)[0] if names is None else [load_card(PromptSet, name) for name in names]
    collected = Collected(sets, LANGUAGES if wanted.language is None else (wanted.language,))
    collected.add_labels_and_classes()
    if not collected.prompts:
        raise EcgbenchError(
            f"--prompts {','.join(names or ())} --lang {wanted.language}: there is nothing to embed, as no such prompt set "
            f"has a sentence in '{wanted.language}'."
        )
    return collected


def add_records(collected: Collected, store: Store, source: str, reports: bool) -> None:
    """What training on a store asks for: the joined sentences of its training records, and their reports."""
    findings = store.findings()
    rows = store.rows_of("train")
    collected.add_joined(label_bank(store.manifest.labels), [findings[row] for row in rows])
    if reports:
        with_report = rows[has_report(store)[rows]]
        if not len(with_report):
            raise EcgbenchError(f"no training record of {source} has a report: leave --reports out.")
        collected.add(report_prompts(store, with_report))


def refuse_patient_text(source: str) -> None:
    """EcgbenchError for data that are not public: their reports are patients' text and leave in no file."""
    folder = source_path(source)
    public = Store(folder).manifest.public if (folder / "manifest.json").is_file() else open_source(source)[0].public
    if not public:
        raise EcgbenchError(
            f"{source} is not public: its reports are patients' text, and a pack would give them away; leave --reports out."
        )


def export_pack(wanted: Wanted, out: Path, reporter: Reporter) -> Beforehand:
    """Embed what is wanted and write it to an embedding pack. EcgbenchError as for `embed_beforehand`, for a file that is
    there already, for a control, and for reports of data that are not public."""
    refuse_controls(wanted.card)
    if out.exists():
        raise EcgbenchError(f"'{out}' is there already: name another file with -o.")
    if not out.parent.is_dir():
        raise EcgbenchError(f"there is no folder '{out.parent}' for {out.name}: create it, or name another with -o.")
    if wanted.reports and wanted.source is not None:
        refuse_patient_text(wanted.source)
    done = embed_beforehand(wanted, reporter)
    write_pack(
        out, wanted.card, list(done.collected.prompts), done.embedded.vectors, done.embedded.identity,
        prompt_sets=done.collected.prompt_sets, languages=done.collected.languages, data_hash=done.data_hash,
    )  # fmt: skip
    return done
