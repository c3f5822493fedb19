"""`ecgbench submit`: scores made elsewhere become a marked row of a board."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgbench.errors import EcgbenchError

if TYPE_CHECKING:
    from ecgbench.evaluation.scores import Scores
    from ecgbench.evaluation.values import BootstrapValues
    from ecgbench.leaderboard.submitted import Claims
    from ecgbench.leaderboard.testset import TestSet
    from ecgbench.results import Result, TaskIdentity

EPILOG = (
    "Examples: ecgbench submit --template todo.npz --task superclass --data-hash 63578e10… · "
    "ecgbench submit scores.npz --task superclass --name our-net --data-hash 63578e10… --trained-on 'MIMIC-IV-ECG' --add"
)


def submit(
    scores: Annotated[
        Path | None,
        typer.Argument(metavar="SCORES.npz", help="record_id, class_id and scores; or a whole scores file."),
    ] = None,
    task: Annotated[str, typer.Option(help="A task of `ecgbench ls tasks`.")] = "",
    data_hash: Annotated[str, typer.Option(help="Of the data that were scored: it stands on the board's page.")] = "",
    name: Annotated[str, typer.Option(help="What the board is to call the system.")] = "",
    trained_on: Annotated[str, typer.Option(metavar="WORDS", help="On which records it was trained.")] = "",
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE", help="The data, to hold the scores to; the board's other results where left out."
        ),
    ] = None,
    bootstrap: Annotated[
        Path | None,
        typer.Option(metavar="VALUES.npz", help="Bootstrap values in the place of scores (`rescore --bootstrap-out`)."),
    ] = None,
    template: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the records and classes to be scored here, and submit nothing."),
    ] = None,
    encoder_name: Annotated[str | None, typer.Option(metavar="NAME", help="Its encoder.")] = None,
    text_name: Annotated[str | None, typer.Option(metavar="NAME", help="Its text tower.")] = None,
    parameters: Annotated[int | None, typer.Option(min=0, help="How many its encoder has.")] = None,
    licence: Annotated[str | None, typer.Option(help="Of its encoder.")] = None,
    text_licence: Annotated[str | None, typer.Option(help="Of its text tower.")] = None,
    reference: Annotated[str | None, typer.Option(metavar="URL", help="A paper, a repository.")] = None,
    seed: Annotated[int | None, typer.Option(help="Tells several submissions of one system apart.")] = None,
    lang: Annotated[str, typer.Option(metavar="ja|en", help="Language that classes were asked in.")] = "ja",
    prompts: Annotated[
        str | None, typer.Option(metavar="NAME", help="The prompt set that they were asked by, not the task's own.")
    ] = None,
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR", help="Where the boards lie.")] = Path(
        "leaderboards"
    ),
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the submission goes, without --add.")] = Path(
        "submissions"
    ),
    add: Annotated[bool, typer.Option("--add", help="Put it on its board and make the pages anew.")] = False,
) -> None:
    """Turn a score file into a result that is marked as submitted: every number is computed here, the model is not run."""
    given = [each for each in (scores, bootstrap, template) if each is not None]
    if len(given) != 1:
        shown = ", ".join(map(str, given)) or "none of them"
        raise EcgbenchError(
            f"one of SCORES.npz, --bootstrap VALUES.npz and --template FILE is needed, and {shown} was given."
        )
    needed = {"--task": task, "--data-hash": data_hash}
    if template is None:
        needed |= {"--name": name, "--trained-on": trained_on}
    lacking = [option for option, value in needed.items() if not value.strip()]
    if lacking:
        raise EcgbenchError(
            f"{' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} missing: see `ecgbench submit --help`."
        )
    if not re.fullmatch("[0-9a-f]{64}", data_hash):
        raise EcgbenchError(
            f"--data-hash {data_hash[:20]} is no data hash: give the 64 hexadecimal digits that stand on the board's page."
        )
    test_set = the_test_set(task, data_hash, data, folder)
    if template is not None:
        write_template(test_set, template)
        return
    from ecgbench.leaderboard.submitted import Claims

    asked, class_prompts = identity_of(test_set, lang, prompts)
    claims = Claims(
        name=name, trained_on=trained_on, encoder=encoder_name, text=text_name, parameters=parameters, licence=licence,
        text_licence=text_licence, reference=reference, seed=seed, class_prompts=class_prompts,
    )  # fmt: skip
    make_result(read_evidence(scores, bootstrap, test_set), claims, test_set, asked, folder, None if add else out)


def the_test_set(task: str, data_hash: str, data: str | None, folder: Path) -> TestSet:
    """The records to be scored: from the data where they are named, else from the board's results."""
    from ecgbench.leaderboard.testset import from_board, from_store

    if data is None:
        return from_board(task, data_hash, folder / "results")
    from ecgbench.cli.run import Terminal
    from ecgbench.ecg.build import store_for

    with Terminal().stage(f"Building the store of {data}") as progress:
        store = store_for(data, progress)
    if store.data_hash != data_hash:
        raise EcgbenchError(
            f"--data-hash {data_hash[:12]}… is not the hash of {data}, which is {store.data_hash}: other records, labels, "
            "splits or versions were scored."
        )
    return from_store(task, store)


def write_template(test_set: TestSet, path: Path) -> None:
    """An npz of the short form with scores of zero."""
    import numpy as np

    from ecgbench.evaluation.npz import write_npz
    from ecgbench.files import atomic_path

    if path.suffix != ".npz":
        raise EcgbenchError(f"--template {path} is no name of a scores file: give one that ends in .npz.")
    test = test_set.of_split("test")
    blank = np.zeros_like(test.scores)
    with atomic_path(path) as temporary:
        write_npz(temporary, {"record_id": test.record_id, "class_id": test.class_id, "scores": blank})
    typer.echo(
        f"wrote {path}: {len(test.record_id)} test records x {len(test.class_id)} classes of {test_set.key} on {test_set.data.name}. "
        "Fill in `scores`, higher is likelier."
    )


def identity_of(test_set: TestSet, language: str, prompts: str | None) -> tuple[TaskIdentity, str | None]:
    """What makes the numbers comparable with others, and the prompt set: the sentences are those that a run would use."""
    from ecgbench.cards import PromptSet
    from ecgbench.catalogue import load_card
    from ecgbench.files import hash_of
    from ecgbench.findings import label_bank
    from ecgbench.pipeline.prepare import NO_PROMPTS
    from ecgbench.pipeline.texts import decisive
    from ecgbench.results import TaskIdentity
    from ecgbench.text.prompts import class_prompts

    card, bank = test_set.card, label_bank(test_set.card.labels)
    if language not in ("ja", "en"):
        raise EcgbenchError(f"--lang {language} is no language of the prompts: give ja or en.")
    hashed = NO_PROMPTS
    if card.kind != "linear_probe":
        prompt_set = load_card(PromptSet, prompts or card.prompt_set)
        hashed = hash_of(decisive(prompt_set, class_prompts(card, prompt_set, bank, language, test_set.mapping)))
    told = {"version": card.version, "card": card.hash, "labels": bank.hash, "mapping": test_set.mapping}
    return TaskIdentity.model_validate({**told, "language": language, "prompts": hashed}), prompts


def make_result(
    evidence: Scores | BootstrapValues,
    claims: Claims,
    test_set: TestSet,
    asked: TaskIdentity,
    boards: Path,
    out: Path | None,
) -> None:
    """Compute the numbers of what was handed in, print them, and put the result into `out`, or on its board where None."""
    from ecgbench.cli.run import Terminal
    from ecgbench.leaderboard.pages import write_pages
    from ecgbench.leaderboard.submitted import board_folder, check_name, submission_of, write_submission

    with Terminal().stage(f"Scoring {test_set.key}"):
        result, kept = submission_of(evidence, claims, test_set, asked)
    board = board_folder(result, boards)
    check_name(result, board)
    target = write_submission(result, kept, board if out is None else out)
    typer.echo(f"{numbers_text(result)}\n\nwrote {target}")
    if out is not None:
        typer.echo(f"To put it on its board, type the same with --add, or copy the folder to {board}.")
        return
    with Terminal().stage("Measuring the results again") as progress:
        pages = write_pages(boards, progress)
    for page in pages:
        typer.echo(f"wrote {page}")


def read_evidence(scores: Path | None, bootstrap: Path | None, test_set: TestSet) -> Scores | BootstrapValues:
    from ecgbench.evaluation.values import BootstrapValues
    from ecgbench.leaderboard.submitted_scores import read_scores

    if scores is not None:
        return read_scores(scores, test_set)
    assert bootstrap is not None
    return BootstrapValues.load(bootstrap)


def numbers_text(result: Result) -> str:
    """The metrics of a submission with their intervals."""
    from ecgbench.cli.tables import interval, number, table

    ((task, score),) = result.tasks.items()
    rows = [
        [name, number(each.value), interval(each.ci), number(each.chance), number(each.ceiling)]
        for name, each in score.metrics.items()
    ]
    head = f"{task} on {result.data.name}: {score.n_records} test records of {score.n_patients} patients"
    return f"{head}\n\n{table(['metric', 'value', '95 % interval', 'chance', 'ceiling'], rows, right=range(1, 5))}"


def add_to(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(submit)
