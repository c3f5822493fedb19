"""What a board says before its tables: who is best, against which control, and what that rests on; and its ablations."""

from __future__ import annotations

from pathlib import Path

import pytest
from leaderboard_made import DATA, make
from test_leaderboard import PAGE, ranking, rows, section

from ecgbench.cards import EncoderCard
from ecgbench.catalogue import all_cards, load_card
from ecgbench.evaluation.compare import paired_difference
from ecgbench.evaluation.scores import Scores
from ecgbench.leaderboard import build_pages
from ecgbench.leaderboard.pages import first_difference

SUPERVISED = {"epochs": 3, "objective": "supervised"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two encoders, two towers of which one is a control, a supervised run that is better than all."""
    folder = tmp_path_factory.mktemp("boards") / "results"
    make(folder, "net", skill=1.0)
    make(folder, "net-1", skill=1.0, seed=1)
    make(folder, "net-ngram", skill=0.6, text="char-ngram", text_control=True)
    make(folder, "vit", skill=0.8, encoder="vit1d-tiny")
    make(folder, "longer", skill=0.9, encoder="vit1d-tiny", recipe={"epochs": 9})
    make(folder, "best", control="supervised", skill=5.0, recipe=SUPERVISED)
    return folder


@pytest.fixture(scope="module")
def page(results: Path) -> str:
    return build_pages(results)[PAGE]


def test_the_first_screen_says_who_is_best_and_against_what(page: str, results: Path) -> None:
    (line,) = rows(section(page, "## Who is best"))
    best = next(row for row in ranking(page) if "control" not in row["Recipe"])
    assert line["Best system"] == f"{best['Encoder']} × {best['Text tower']} × {best['Recipe']}"
    assert (line["Value"], line["Rank"]) == (best["accuracy"], best["Rank"])
    folder = next(
        each for each in ("net", "vit", "longer") if best["Result"].startswith(link_of(page, f"made/{each}/"))
    )
    of = [Scores.load(results / "made" / name / "scores" / "superclass.npz") for name in (folder, "best")]
    wanted = paired_difference(*of, "accuracy")
    shown = f"{wanted.value:+.3f} [{wanted.low:+.3f}, {wanted.high:+.3f}]"
    assert line["Against the strongest control"] == f"worse: {shown} to resnet1d18 × quick · *control* · supervised"
    assert page.index("## Who is best") < page.index("## Can it be trusted") < page.index("Data: made")


def link_of(page: str, where: str) -> str:
    """`[0][key]` of the result in a folder."""
    key = next(line.split("]")[0][1:] for line in page.splitlines() if line.startswith("[") and where in line)
    return f"[0][{key}]"


def test_every_row_links_its_results_by_seed(page: str) -> None:
    row = next(row for row in ranking(page) if row["Recipe"] == "quick (epochs 3)" and row["Encoder"] == "resnet1d18")
    first, second = row["Result"].split()
    assert first == link_of(page, "made/net/")
    assert second == link_of(page, "made/net-1/").replace("[0]", "[1]")
    assert page.count("results/made/net/result.json") == 1
    assert next(row for row in ranking(page) if row["Recipe"].startswith("chance"))["Result"] == "—"


def test_licence_and_training_data_of_every_row(page: str) -> None:
    found = {(row["Encoder"], row["Recipe"]): (row["Trained on"], row["Licence"]) for row in ranking(page)}
    assert found["resnet1d18", "quick (epochs 3)"] == ("this data", "unknown")
    assert found["resnet1d18", "untrained · *control*"][0] == "nothing"
    assert found["—", "chance · *control*"] == ("—", "—")


def test_what_a_card_says_of_its_weights_stands_in_the_row(tmp_path: Path) -> None:
    assert load_card(EncoderCard, "merl-resnet18").pretrained_on == "MIMIC-IV-ECG"
    for name in ("merl-resnet18", "hf:some/model"):
        make(tmp_path / "results", name.replace("/", "-"), encoder=name)
    found = {
        row["Encoder"]: row["Trained on"]
        for row in ranking(build_pages(tmp_path / "results")[PAGE])
        if row["Recipe"] == "quick"
    }
    assert found["merl-resnet18 ‡"] == "this data; before, pre-trained on MIMIC-IV-ECG"
    assert found["hf:some/model"] == "this data; before, pre-trained weights of unknown data"


def test_every_card_with_weights_says_what_they_saw_and_its_hash_is_the_same() -> None:
    cards = all_cards(EncoderCard)[0]
    assert [card.name for card in cards if card.weights and not card.pretrained_on] == []
    assert all("pretrained_on" not in card.identity() for card in cards)


def test_controls_that_were_not_run_are_named(page: str) -> None:
    assert (
        "Controls here: chance, majority, untrained, text tower `char-ngram`, supervised. "
        "Not run here: frozen-random encoder, text tower `random`." in page
    )


def test_ablation_in_two_shapes(page: str) -> None:
    """A matrix of towers and encoders within one recipe; for the encoder with two towers the paper's table."""
    text = section(page, "### Ablation: text tower by encoder")
    assert "Recipe quick (epochs 3), accuracy" in text and "epochs 9" not in text
    blocks = text.split("in the shape of the paper's Tables 2 to 7:")
    matrix = {row["Text tower"]: row for row in rows(blocks[0])}
    row = next(row for row in ranking(page) if row["Recipe"] == "quick (epochs 3)" and row["Encoder"] == "vit1d-tiny")
    assert list(matrix) == ["use-multilingual", "char-ngram"], "controls last"
    assert matrix["use-multilingual"]["vit1d-tiny"] == row["accuracy"]
    assert matrix["char-ngram"]["vit1d-tiny"] == "—"
    labels = rows(blocks[1])
    assert [each["Labels"].rstrip("†") for each in labels] == [
        "all", "Normal ECG", "Conduction Disturbance", "Myocardial Infarction", "Hypertrophy", "ST/T change",
    ]  # fmt: skip
    assert labels[0]["char-ngram"] == matrix["char-ngram"]["resnet1d18"]
    assert labels[-1] == {"Labels": "ST/T change", "n": "0", "use-multilingual": "—", "char-ngram": "—"}
    assert sum(int(each["n"]) for each in labels[1:]) == int(labels[0]["n"])


def test_trust_counts_what_the_numbers_rest_on(tmp_path: Path) -> None:
    make(tmp_path / "results", "a")
    make(tmp_path / "results", "b", encoder="mine", with_scores=False)
    make(tmp_path / "results", "failed", seed=7, failed="the loss was not a number.")
    page = build_pages(tmp_path / "results")[PAGE]
    trust = section(page, "## Can it be trusted")
    assert "Results here: 2. With their scores beside them" in trust
    assert "With neither, their numbers as told and no rank: 1." in trust
    assert "so that its luck is not known: 1 of 1." in trust
    assert "reason below: 1. Because something is wrong with them: 0." in trust
    assert "No rank, because no scores stand beside the result: mine × use-multilingual × quick; mine × use" in page


def test_a_board_of_controls_alone_has_no_best(tmp_path: Path) -> None:
    make(tmp_path / "results", "best", control="supervised", recipe=SUPERVISED)
    (line,) = rows(section(build_pages(tmp_path / "results")[PAGE], "## Who is best"))
    assert line["Best system"] == "none but controls" and line["Value"] == "—"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("one\ntwo\nthree\n", "first in line 2, which says 'two' and should say '2'"),
        ("one\n2\n", "first in line 3, which says '' and should say 'three'"),
        ("one\n2\nthree\n\nmore\n", "first in line 5, which says 'more' and should end the page"),
        ("one", "first in line 2, which is not there and should say '2'"),
        ("one\n2\nthree\n" + "x" * 100, "first in line 4, which says '" + "x" * 40 + "…' and should say ''"),
    ],
)
def test_the_first_differing_line_of_a_page(tmp_path: Path, given: str, said: str) -> None:
    path = tmp_path / "page.md"
    path.write_text(given, encoding="utf-8")
    assert first_difference(path, "one\n2\nthree\n") == said


def test_a_page_is_about_one_data_hash(page: str) -> None:
    assert f"data hash `{DATA}`" in page
