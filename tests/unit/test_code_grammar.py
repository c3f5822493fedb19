"""The strict grammar of the code columns, clause by clause, and findings by it against a naive twin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgbench.ecg.sources.code_grammar import Beats, CodeLabeller, Rhythm, Rules, mitbih_term, parse_cell, snomed_term
from ecgbench.errors import EcgbenchError
from ecgbench.findings import Finding, LabelBank, label_bank

AF, LBBB = "164889003", "733534002"


def bank_of(**cells: str) -> LabelBank:
    """A label table with one code column."""
    rows = [Finding(name, {"en": name, "ja": name}, {"id": name, "code": cell}) for name, cell in cells.items()]
    return LabelBank("made.csv", tuple(rows))


def naive_findings(codes: set[str]) -> set[str]:
    """Findings of the 98 by their `snomed` cells, split by hand; a composite takes its parts' findings away."""
    cells = label_bank().column("snomed")
    rules = {name: [set(part.split("+")) for part in cell.split("|")] for name, cell in cells.items() if cell[0] != "~"}
    held = {name for name, parts in rules.items() if any(part <= codes for part in parts)}
    wholes = [part for name in held for part in rules[name] if part <= codes and len(part) > 1]
    return {name for name in held if not any(part < whole for part in rules[name] for whole in wholes)}


@pytest.mark.parametrize(
    ("cell", "alternatives"),
    [
        ("", ()),
        ("~" + AF, ()),
        ("~not even a code", ()),
        (AF, ({AF},)),
        (f"{AF}|{LBBB}", ({AF}, {LBBB})),
        (f"{AF}+{LBBB}", ({AF, LBBB},)),
        (f"{AF}+{LBBB}|10370003", ({AF, LBBB}, {"10370003"})),
    ],
)
def test_a_cell_of_snomed_codes(cell: str, alternatives: tuple[set[str], ...]) -> None:
    assert parse_cell(cell, snomed_term) == alternatives


@pytest.mark.parametrize(
    "cell",
    [
        " ", f" {AF}", f"{AF} ", f"{AF} | {LBBB}", f"{AF}|", f"|{AF}", f"{AF}++{LBBB}", f"{AF},{LBBB}", f"{AF}|~{LBBB}",
        f"{AF}\n", "0164889003", "16488", "AF", "164889003.0", "1.64889003E8", "-164889003", "１６４８８９００３", "1" * 19,
    ],
)  # fmt: skip
def test_what_is_no_cell_of_snomed_codes(cell: str) -> None:
    with pytest.raises(ValueError, match="is no SNOMED-CT code"):
        parse_cell(cell, snomed_term)


@pytest.mark.parametrize(
    ("term", "meaning"),
    [
        ("beat:V", Beats(("V",))),
        ("beat:/", Beats(("/",))),
        ("beat:V beat:V", Beats(("V", "V"))),
        ("beat:V beat:V beat:V", Beats(("V", "V", "V"))),
        ("rhythm:(AFIB", Rhythm("(AFIB")),
    ],
)
def test_a_term_of_mitbih_annotations(term: str, meaning: Beats | Rhythm) -> None:
    assert mitbih_term(term) == meaning


@pytest.mark.parametrize(
    ("term", "why"),
    [
        ("", "neither"), ("V", "neither"), ("beat:", "neither"), ("beat:X", "neither"), ("beat:VV", "neither"),
        ("beat:V  beat:V", "neither"), ("beat:V ", "neither"), ("beat:+", "neither"), ("beat:~", "neither"),
        ("rhythm:AFIB", "neither"), ("rhythm:(", "neither"), ("rhythm:(afib", "neither"),
        ("rhythm:(N beat:N", "neither"), ("beat:V beat:A", "several kinds"),
    ],
)  # fmt: skip
def test_what_is_no_term_of_mitbih_annotations(term: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        mitbih_term(term)


@pytest.mark.parametrize(("column", "parse", "count"), [("snomed", snomed_term, 46), ("mitbih", mitbih_term, 17)])
def test_the_98_labels_that_a_column_can_assign(column: str, parse, count: int) -> None:
    assert len(Rules(label_bank(), column, parse).alternatives) == count


def test_a_wrong_cell_names_table_label_and_column() -> None:
    with pytest.raises(EcgbenchError, match=r"^label table made\.csv, b, column code: 'AF' is no SNOMED-CT code\.$"):
        Rules(bank_of(a=AF, b="AF"), "code", snomed_term)


def test_a_column_that_is_not_there_lists_those_that_are() -> None:
    with pytest.raises(EcgbenchError, match=r"made\.csv has no column 'snomed'; it has id, code"):
        CodeLabeller(bank_of(a=AF))


@pytest.mark.parametrize(
    "code",
    [f"{AF}0", f"1{AF}", AF[:-1], AF[1:], f" {AF}", f"{AF} ", f"{AF},{LBBB}", "0" + AF],
)
def test_a_code_that_holds_another_or_a_part_of_it_is_not_that_code(code: str) -> None:
    labeller = CodeLabeller(bank_of(af=AF, lbbb=LBBB), "code")
    assert labeller.findings([code]) == () and labeller.findings([AF]) == ("af",)


def test_a_composite_replaces_its_parts() -> None:
    labeller = CodeLabeller(bank_of(a="100000", both="100000+200000", b="200000|300000"), "code")
    assert labeller.findings(["100000", "200000"]) == ("both",)
    assert labeller.findings(["100000", "300000"]) == ("a", "b")
    assert labeller.findings(["200000"]) == ("b",)


def test_the_larger_composite_replaces_the_smaller() -> None:
    labeller = CodeLabeller(bank_of(two="100000+200000", three="100000+200000+300000"), "code")
    assert labeller.findings(["100000", "200000", "300000"]) == ("three",)


def test_findings_stand_in_table_order_whatever_the_order_of_codes() -> None:
    labeller = CodeLabeller(bank_of(a=AF, b=LBBB), "code")
    assert labeller.findings([LBBB, AF]) == labeller.findings([AF, LBBB, AF]) == ("a", "b")


def test_a_bundle_branch_block_that_is_not_said_to_be_complete_is_no_complete_one() -> None:
    labeller = CodeLabeller(label_bank())
    assert labeller.findings(["59118001", "164909002"]) == ()
    assert labeller.findings(["713427006", "733534002"]) == (
        "complete-right-bundle-branch-block", "complete-left-bundle-branch-block"
    )  # fmt: skip


CODES = sorted(
    {code for cell in label_bank().column("snomed").values() for code in cell.strip("~").replace("+", "|").split("|")}
)


@given(st.sets(st.sampled_from(CODES), max_size=12))
def test_any_codes_give_the_findings_of_the_naive_twin(codes: set[str]) -> None:
    bank = label_bank()
    assert CodeLabeller(bank).findings(codes) == tuple(name for name in bank.ids if name in naive_findings(codes))
