"""`ecgbench text show`: what a text tower's vectors are like, before anything is trained."""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgbench.cli.run import Terminal
from ecgbench.cli.tables import MISSING, number, table
from ecgbench.cli.tower_options import EitherLanguage, TextDevice, TextPack, TextPath
from ecgbench.errors import EcgbenchError

if TYPE_CHECKING:
    from ecgbench.pipeline.tower_diagnosis import Diagnosis, Shape
    from ecgbench.text.diagnosis import Share

EPILOG = (
    "Examples: ecgbench text show use-multilingual · ecgbench text show medllama3-jp --text-pack pack.safetensors · "
    "ecgbench text show clinicalbert --text-path DIR --lang en --prompts bare"
)
PAIRS = 10
LANGUAGES_TOLD = 20
NAMES = {"ja": "Japanese", "en": "English"}


def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A text tower of `ecgbench ls texts`.")],
    text_path: TextPath = None,
    text_pack: TextPack = None,
    text_device: TextDevice = "auto",
    prompts: Annotated[
        str, typer.Option(metavar="SET", help="A prompt set that states a label in one sentence.")
    ] = "paper",
    lang: EitherLanguage = None,
    labels: Annotated[str, typer.Option(metavar="TABLE", help="A label table of tasks/.")] = "labels98.csv",
    every: Annotated[bool, typer.Option("--all", help="Also the nearest other label of each label.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document; every number is in it.")] = False,
) -> None:
    """Look at a text tower's vectors of all labels: what lies near what, in how little of the space, and what centring,
    standardising and whitening change. No ECG and no training is needed."""
    from ecgbench.cards import PromptSet, TextCard
    from ecgbench.catalogue import load_card
    from ecgbench.findings import label_bank
    from ecgbench.pipeline.tower_diagnosis import LANGUAGES, diagnose

    if lang not in (None, *LANGUAGES):
        raise EcgbenchError(f"--lang {lang} is not known: write ja or en.")
    tower, bank, prompt_set = load_card(TextCard, name), label_bank(labels), load_card(PromptSet, prompts)
    found = diagnose(
        tower, bank, prompt_set, LANGUAGES if lang is None else (lang,),
        text_path=text_path, text_pack=text_pack, text_device=text_device, reporter=Terminal(),
    )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(as_document(found), ensure_ascii=False, indent=2))
    else:
        typer.echo("\n\n".join(filter(None, sections(found, every))))


def sections(found: Diagnosis, every: bool) -> list[str]:
    """What is printed, '' for a part that there is nothing to say in."""
    return [
        heading(found),
        measures(found),
        across(found),
        class_table(found),
        *(geometry_table(found, language) for language in found.languages),
        *(pair_table(found, language) for language in found.languages),
        *(label_table(found, language) for language in found.languages if every),
        remarks(found),
    ]


def heading(found: Diagnosis) -> str:
    tower = found.tower
    dim, weights = found.identity["dim"], found.identity["weights"]
    of = f", vectors of {weights}" if weights else ""
    return (
        f"{tower.name}: {tower.summary}\n{dim} wide{of}; languages on its card: {_claimed(found)}\n"
        f"{len(found.bank)} labels of {found.bank.table}, each in the sentence of prompt set {found.prompt_set.name}"
    )


def _claimed(found: Diagnosis) -> str:
    languages = found.tower.languages
    if languages is None:
        return "unknown"
    if len(languages) <= LANGUAGES_TOLD:
        return ", ".join(languages) or "none"
    asked = [language for language in found.languages if language in languages]
    return f"{len(languages)}, {' and '.join(asked) or 'none of those asked for'} among them"


def measures(found: Diagnosis) -> str:
    """A column a language."""
    rows: list[list[str]] = [
        ["squared norm left without the mean"],
        ["mean cosine of two labels"],
        [f"effective rank, at most {len(found.bank) - 1}"],
        ["nearest label ends alike (by chance)"],
        ["nearest label begins alike (by chance)"],
        ["tokens a prompt: least, median, most"],
    ]
    for said in found.languages.values():
        own = said.shapes["none"]
        cells = [
            f"{own.spread.norm_left:.1%}",
            number(own.spread.mean_cosine),
            number(own.spread.effective_rank, 1),
            _share(own.same_ending),
            _share(own.same_beginning),
            _tokens(said.tokens),
        ]
        for row, cell in zip(rows, cells, strict=True):
            row.append(cell)
    headers = ["the tower's own vectors", *(NAMES[language] for language in found.languages)]
    return table(headers, rows, right=range(1, len(headers)))


def _share(share: Share) -> str:
    return f"{share.value:.2f} ({share.chance:.2f})"


def _tokens(counts: list[int] | None) -> str:
    return MISSING if counts is None else f"{min(counts)}, {median(counts):g}, {max(counts)}"


def across(found: Diagnosis) -> str:
    """The same label in the other language, among all labels."""
    from ecgbench.pipeline.tower_diagnosis import RETRIEVAL, retrieval_chance

    if len(found.languages) < 2:
        return ""
    rows = []
    for language in found.languages:
        values = found.languages[language].shapes["none"].across or {}
        rows.append([f"{language} -> {_other(found, language)}", *(number(values.get(each)) for each in RETRIEVAL)])
    chance = retrieval_chance(len(found.bank))
    rows.append(["by chance", *(number(chance[each]) for each in RETRIEVAL)])
    text = table(["same label, other language", *RETRIEVAL], rows, right=range(1, 4))
    strange = [language for language in found.languages if found.claims(language) is False]
    if strange:
        said = " and ".join(NAMES[language] for language in strange)
        text += (
            f"\n{said}: not among the languages on the card; what is above chance here may be shared spelling alone."
        )
    return text


def _other(found: Diagnosis, language: str) -> str:
    return next(each for each in found.languages if each != language)


def class_table(found: Diagnosis) -> str:
    rows = []
    for name, task in found.tasks.items():
        by_language = [said.shapes["none"].classes.get(name) for said in found.languages.values()]
        if not any(by_language):
            continue
        for place, item in enumerate(task.classes):
            of = next((str(counts[place][1]) for counts in by_language if counts), MISSING)
            cells = [str(counts[place][0]) if counts else MISSING for counts in by_language]
            rows.append([name, item.value, *cells, of])
    headers = ["findings nearest to their own class", "class", *found.languages, "findings"]
    return table(headers, rows, right=range(2, len(headers))) if rows else ""


def geometry_table(found: Diagnosis, language: str) -> str:
    """What each geometry makes of the numbers above."""
    shapes = found.languages[language].shapes
    tasks = list(shapes["none"].classes)
    there = shapes["none"].across is not None
    rows = []
    for how, shape in shapes.items():
        row = [how, f"{shape.spread.norm_left:.1%}", number(shape.spread.mean_cosine)]
        row += [number(shape.spread.effective_rank, 1), f"{shape.same_ending.value:.2f}"]
        row += [number(shape.across["top1"])] if shape.across else []
        rows.append([*row, *(_hits(shape, task) for task in tasks)])
    to = [f"{language} -> {_other(found, language)} top1"] if there else []
    headers = [f"geometry, {NAMES[language]}", "norm left", "mean cosine", "rank", "ends alike", *to, *tasks]
    return table(headers, rows, right=range(1, len(headers)))


def _hits(shape: Shape, task: str) -> str:
    counts = shape.classes[task]
    return f"{sum(hit for hit, _ in counts)}/{sum(of for _, of in counts)}"


def pair_table(found: Diagnosis, language: str) -> str:
    """The labels that are hardest to tell apart."""
    from ecgbench.text.diagnosis import closest_pairs

    names = [finding.names[language] for finding in found.bank.findings]
    pairs = closest_pairs(found.languages[language].vectors, PAIRS)
    rows = [[names[one], names[other], number(cosine)] for one, other, cosine in pairs]
    return table([f"closest labels, {NAMES[language]}", "and", "cosine"], rows, right=(2,))


def label_table(found: Diagnosis, language: str) -> str:
    names = [finding.names[language] for finding in found.bank.findings]
    own = found.languages[language].shapes["none"]
    rows = [
        [name, names[other], number(float(cosine))]
        for name, other, cosine in zip(names, own.nearest, own.cosines, strict=True)
    ]
    return table([f"label, {NAMES[language]}", "nearest other label", "cosine"], rows, right=(2,))


def remarks(found: Diagnosis) -> str:
    lines = [
        f"Warning, {NAMES[language]}: {each}" for language, said in found.languages.items() for each in said.warnings
    ]
    return "\n".join([*lines, *(f"Left out: {reason}" for reason in found.left_out)])


def as_document(found: Diagnosis) -> dict[str, Any]:
    """All of it as JSON."""
    from ecgbench.pipeline.tower_diagnosis import MAPPING, retrieval_chance

    return {
        "tower": found.tower.name,
        "identity": found.identity,
        "labels": found.bank.table,
        "prompts": found.prompt_set.name,
        "mapping": MAPPING,
        "chance": retrieval_chance(len(found.bank)),
        "languages": {language: _language(found, language) for language in found.languages},
        "left_out": found.left_out,
    }


def _language(found: Diagnosis, language: str) -> dict[str, Any]:
    from ecgbench.text.diagnosis import beginning, ending

    said = found.languages[language]
    own, ids = said.shapes["none"], found.bank.ids
    return {
        "claimed": found.claims(language),
        "tokens": said.tokens,
        "warnings": said.warnings,
        "geometries": {how: _shape(found, shape) for how, shape in said.shapes.items()},
        "labels": [
            {
                "id": finding.id,
                "name": finding.names[language],
                "prompt": prompt.text,
                "ending": ending(finding.names[language]),
                "beginning": beginning(finding.names[language]),
                "nearest": ids[other],
                "cosine": float(cosine),
            }
            for finding, prompt, other, cosine in zip(
                found.bank.findings, said.prompts, own.nearest, own.cosines, strict=True
            )
        ],
    }


def _shape(found: Diagnosis, shape: Shape) -> dict[str, Any]:
    return {
        "norm_left": shape.spread.norm_left,
        "mean_cosine": shape.spread.mean_cosine,
        "effective_rank": shape.spread.effective_rank,
        "same_ending": {"share": shape.same_ending.value, "chance": shape.same_ending.chance},
        "same_beginning": {"share": shape.same_beginning.value, "chance": shape.same_beginning.chance},
        "other_language": shape.across,
        "classes": {
            name: [
                {"class": item.id, "nearest": hits, "findings": of}
                for item, (hits, of) in zip(found.tasks[name].classes, counts, strict=True)
            ]
            for name, counts in shape.classes.items()
        },
    }
