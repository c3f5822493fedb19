"""What holds for every data set that has a card."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ecgbench.cards import DatasetCard
from ecgbench.catalogue import all_cards, load_card, table_path
from ecgbench.cli.main import run_command
from ecgbench.ecg.recording import LEADS, RawEcg
from ecgbench.ecg.sources import Source, open_source
from ecgbench.ecg.sources.options import SourceOptions
from ecgbench.ecg.store import SPLITS
from ecgbench.entry_points import load_entry_point
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank
from tests.conftest import REAL_ECGS, ROOT

CARDS, BROKEN = all_cards(DatasetCard)
OF_FOLDERS = [card for card in CARDS if not card.builtin]
OF_CODES = [card for card in OF_FOLDERS if card.label_column]
CLOSED = [card for card in OF_CODES if card.label_column != "snomed"]
"""Those whose codes are a list that ends; SNOMED-CT's does not."""
PTBXL = ["ptbxl", "ptbxl-all", "ptbxl-diagnostic", "ptbxl-form", "ptbxl-rhythm", "ptbxl-subclass", "ptbxl-superclass"]


def by_name(card: DatasetCard) -> str:
    return card.name


def of_every(cards: list[DatasetCard]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("card", cards, ids=by_name)


# --- a source of each, small ------------------------------------------------------------------------------------------


def write_recording(path: Path) -> None:
    counts = np.random.default_rng(5).integers(-400, 400, (12, 5000)).astype("<i2")
    path.parent.mkdir(parents=True, exist_ok=True)
    sums = [(int(row.sum()) + 32768) % 65536 - 32768 for row in counts]
    lines = [
        f"{path.name}.dat 16 200.0(0)/mV 16 0 {row[0]} {total} 0 {lead}"
        for lead, row, total in zip(LEADS, counts, sums, strict=True)
    ]
    path.with_suffix(".hea").write_text("\n".join([f"{path.name} 12 500 5000", *lines, ""]), encoding="utf-8")
    path.with_suffix(".dat").write_bytes(counts.T.tobytes())


def write_csv(path: Path, *rows: list[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows(rows)


def made_mimic(folder: Path) -> str:
    studies = [("10000032", "40689238", "Sinus bradycardia."), ("10000635", "43522917", "Atrial flutter")]
    paths = [f"files/p1000/p{subject}/s{study}/{study}" for subject, study, _ in studies]
    for path in paths:
        write_recording(folder / path)
    records = [[subject, study, path] for (subject, study, _), path in zip(studies, paths, strict=True)]
    write_csv(folder / "record_list.csv", ["subject_id", "study_id", "path"], *records)
    header = ["study_id", *(f"report_{number}" for number in range(18))]
    reports = [[study, said, *[""] * 17] for _, study, said in studies]
    write_csv(folder / "machine_measurements.csv", header, *reports)
    return f"mimic-iv-ecg:{folder}"


def made_manifest(folder: Path) -> str:
    for name in ("a", "b"):
        write_recording(folder / name)
    rows = [["a.hea", "p1", "心房細動;Left Axis Deviation"], ["b.hea", "p2", "洞性徐脈"]]
    write_csv(folder / "list.csv", ["file", "patient", "findings"], *rows)
    return f"manifest:{folder / 'list.csv'}"


def real(name: str, folder: str) -> Callable[[Path], str]:
    def spec(_: Path) -> str:
        if not (REAL_ECGS / folder).is_dir():
            pytest.skip(f"real recordings are absent: {REAL_ECGS / folder} is not there")
        return f"{name}:{REAL_ECGS / folder}"

    return spec


SPECS: dict[str, Callable[[Path], str]] = {
    **{name: real(name, "ptbxl") for name in PTBXL},
    **{name: real(name, "cinc2021") for name in ("cinc", "cpsc2018", "csn38")},
    "mitbih": real("mitbih", "mitbih"),
    "mimic-iv-ecg": made_mimic,
    "manifest": made_manifest,
    "synth98": lambda _: "synth98:balanced=6,labels=normal+atrial-fibrillation",
}


@pytest.fixture
def source(card: DatasetCard, tmp_path: Path) -> Source:
    return open_source(SPECS[card.name](tmp_path))[1]


# --- cards ------------------------------------------------------------------------------------------------------------


def test_no_card_is_broken_and_each_has_a_source_here() -> None:
    assert not BROKEN
    assert {card.name for card in CARDS} == set(SPECS)


@of_every(CARDS)
def test_a_card_says_what_a_user_asks(card: DatasetCard) -> None:
    assert card.summary and not card.summary.endswith(".") and "\n" not in card.summary
    assert card.notes.strip() and card.version >= 1
    assert card.licence is None or card.licence.strip()


@of_every([card for card in CARDS if card.public])
def test_public_data_have_a_licence(card: DatasetCard) -> None:
    assert card.licence


@of_every([card for card in OF_FOLDERS if card.public])
def test_public_data_say_whose_work_they_are_and_where_they_lie(card: DatasetCard) -> None:
    assert re.search(r"\b(19|20)\d\d\b", card.reference or "")
    assert "https://physionet.org/content/" in (card.reference or "")


@of_every(CARDS)
def test_an_entry_point_is_there(card: DatasetCard) -> None:
    built = load_entry_point(card, card.entry_point)
    assert all(callable(getattr(built, method)) for method in ("entries", "load", "fingerprint"))


@of_every(CARDS)
def test_the_label_table_has_the_column_that_findings_come_from(card: DatasetCard) -> None:
    bank = label_bank(card.labels)
    assert len(bank) > 1
    if card.label_column:
        assert bank.column(card.label_column)


@pytest.mark.parametrize(("name", "column"), [("ptbxl", "scp"), ("cinc", "snomed"), ("mitbih", "mitbih")])
def test_the_number_of_findings_that_a_card_tells_is_the_table_s(name: str, column: str) -> None:
    assigning = [cell for cell in label_bank().column(column).values() if not cell.startswith("~")]
    assert f"{len(assigning)} of the 98 findings have an" in " ".join(load_card(DatasetCard, name).notes.split())


# --- requests that cannot be met --------------------------------------------------------------------------------------


def one_sentence(message: str) -> None:
    assert message.endswith(".") and "\n" not in message and not re.search(r"\.\s+[A-Z]", message)


@of_every(OF_FOLDERS)
@pytest.mark.parametrize("ending", ["", ":"])
def test_a_missing_argument_says_what_to_write(card: DatasetCard, ending: str) -> None:
    with pytest.raises(EcgbenchError, match=rf"write {card.name}:(PATH|FILE\.csv)") as caught:
        open_source(card.name + ending)
    one_sentence(str(caught.value))


@of_every(OF_FOLDERS)
def test_a_path_that_is_not_there_is_named(card: DatasetCard, tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError, match=rf"^{card.name}:.*/nowhere") as caught:
        open_source(f"{card.name}:{tmp_path}/nowhere")
    one_sentence(str(caught.value))


@of_every(OF_FOLDERS)
def test_an_empty_folder_is_refused_when_opened_or_listed(card: DatasetCard, tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError) as caught:
        open_source(f"{card.name}:{tmp_path}")[1].entries()
    one_sentence(str(caught.value))


@of_every(OF_CODES)
def test_aliases_are_refused_where_there_are_no_wordings(card: DatasetCard, tmp_path: Path) -> None:
    aliases = tmp_path / "aliases.csv"
    aliases.write_text("wording,label\n", encoding="utf-8")
    with pytest.raises(
        EcgbenchError, match=rf"^--aliases .* has no use for {card.name}, .* column {card.label_column}"
    ):
        open_source(f"{card.name}:{tmp_path}", SourceOptions(aliases=aliases))


@of_every(CLOSED)
@pytest.mark.parametrize("unknown", ["error", "drop", "keep"])
def test_what_to_do_with_the_unknown_is_refused_where_nothing_is(
    card: DatasetCard, unknown: str, tmp_path: Path
) -> None:
    with pytest.raises(EcgbenchError, match=rf"^--unknown {unknown} has no use for {card.name}, .*: leave it out\.$"):
        open_source(f"{card.name}:{tmp_path}", SourceOptions(unknown=unknown))  # type: ignore[arg-type]


@of_every(OF_CODES)
def test_a_label_table_without_the_column_is_refused(card: DatasetCard, tmp_path: Path) -> None:
    other = "labels98.csv" if card.label_column == "code" else "labels-ptbxl-form.csv"
    spec = SPECS[card.name](tmp_path)
    with pytest.raises(EcgbenchError, match=rf"label table {other} has no column '{card.label_column}'; it has id, "):
        open_source(spec, SourceOptions(labels=other))[1].entries()


# --- sources ----------------------------------------------------------------------------------------------------------


@of_every(CARDS)
def test_entries_keep_the_contract(card: DatasetCard, source: Source) -> None:
    entries, bank = source.entries(), label_bank(card.labels)
    assert len(entries) > 1 and len({entry.record for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.record and entry.patient and entry.split in ("", *SPLITS)
        assert entry.findings == bank.in_order(set(entry.findings)), entry.record
        assert entry.age is None or 0 <= entry.age <= 90
        assert entry.sex in (None, "male", "female")
        assert not any(re.search(r"[|\r\n]", code) for code in entry.codes)
    assert any(entry.findings for entry in entries)
    assert len({entry.split == "" for entry in entries}) == 1, "splits are the source's for all records or for none"


@of_every(CARDS)
def test_no_patient_is_in_two_splits(card: DatasetCard, source: Source) -> None:
    split_of: dict[str, str] = {}
    assert all(split_of.setdefault(entry.patient, entry.split) == entry.split for entry in source.entries())


@of_every(CARDS)
def test_the_same_files_are_listed_the_same_again(card: DatasetCard, tmp_path: Path) -> None:
    spec = SPECS[card.name](tmp_path)
    first, again = open_source(spec)[1], open_source(spec)[1]
    assert first.entries() == again.entries()
    assert json.dumps(first.fingerprint(), sort_keys=True) == json.dumps(again.fingerprint(), sort_keys=True)


@of_every(CARDS)
def test_another_process_loads_an_entry_that_this_one_listed(card: DatasetCard, tmp_path: Path) -> None:
    """As a worker does it: a source opened anew, that has listed nothing."""
    spec = SPECS[card.name](tmp_path)
    entry = open_source(spec)[1].entries()[0]
    raw = open_source(spec)[1].load(entry)
    assert isinstance(raw, RawEcg) and raw.rate > 0
    assert raw.leads and set(raw.leads) <= set(LEADS)
    assert len({len(samples) for samples in raw.leads.values()}) == 1
    assert all(np.isfinite(samples).all() for samples in raw.leads.values())
    assert re.fullmatch(r"[0-9a-f]{64}", entry.source_sha256 or raw.source_sha256)


@of_every(CARDS)
def test_what_a_source_says_of_its_records_is_json(card: DatasetCard, source: Source) -> None:
    source.entries()
    remarks = getattr(source, "remarks", dict)()
    assert json.loads(json.dumps(remarks)) == remarks


# --- the page about them ----------------------------------------------------------------------------------------------

PAGE = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
SENTENCES = " ".join(PAGE.split())


def exact_and_near(column: str) -> tuple[set[str], set[str]]:
    """Findings with a code in a column of the 98 labels that assigns them, and with one that is only near."""
    cells = label_bank().column(column)
    exact = {finding for finding, cell in cells.items() if not cell.startswith("~")}
    return exact, set(cells) - exact


@pytest.mark.parametrize("column", ["scp", "snomed", "mitbih"])
def test_the_page_s_table_of_codes_is_the_label_table_s(column: str) -> None:
    exact, near = exact_and_near(column)
    row = re.search(rf"^\| `{column}` \| \w+ \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert row and tuple(map(int, row.groups())) == (len(exact), len(near), 98 - len(exact) - len(near))


def test_the_page_s_sums_over_the_three_columns_are_the_label_table_s() -> None:
    exact = [exact_and_near(column)[0] for column in ("scp", "snomed", "mitbih")]
    some, every = len(set.union(*exact)), len(set.intersection(*exact))
    assert (
        f"{some} of the 98 have an exact code in at least one of the three, {every} in all three; {98 - some} ("
        in SENTENCES
    )


def test_the_page_says_how_many_findings_the_wordings_of_mimic_reach() -> None:
    with table_path("wordings-mimic-iv-ecg.csv").open(encoding="utf-8", newline="") as handle:
        labels = {label for row in csv.DictReader(handle) for label in row["label"].split(";")} - {"-"}
    assert f"wordings of mimic-iv-ecg reach {len(labels)}." in SENTENCES
    assert f"reaches {len(labels)} of the 98 findings" in " ".join(load_card(DatasetCard, "mimic-iv-ecg").notes.split())


@of_every([card for card in CARDS if card.name != "manifest"])
def test_the_page_names_every_data_set(card: DatasetCard) -> None:
    size = f" ({len(label_bank(card.labels))})" if card.params.get("statements") else ""
    assert re.search(rf"`{card.name}(:PATH)?`{re.escape(size)}", PAGE)
    licence = re.search(rf"^\| .?`{card.name}[:`].* \| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert not licence or licence[1] == card.licence


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"^    (ecgbench data build .*?)(?:  +#.*)?$", PAGE, re.MULTILINE)))
)
def test_a_command_of_the_page_is_understood(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Up to the folder, which is not there; an option that is misspelt would be told first."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text("wording,label\n", encoding="utf-8")
    folder = command.split()[3].partition(":")[2]
    assert run_command(command.split()[1:]) == 2
    assert f"'{folder}" in capsys.readouterr().err
