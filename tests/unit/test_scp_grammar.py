"""The label table's SCP grammar, clause by clause, and against a naive twin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgbench.ecg.sources.scp_grammar import ScpLabeller, Statements, Term, parse_cell
from ecgbench.findings import LabelBank, label_bank


@pytest.fixture(scope="module")
def labeller() -> ScpLabeller:
    return ScpLabeller(label_bank())


def found(labeller: ScpLabeller, codes: dict[str, float], axis: str = "", *stadiums: str) -> set[str]:
    return set(labeller.findings(Statements(codes, axis, stadiums)))


def test_sixty_labels_have_an_assigning_cell(labeller: ScpLabeller) -> None:
    assert len(labeller.rules) == 60
    assert labeller.graded == {"IMI", "ASMI", "LMI", "AMI", "PMI", "LAFB"}


@pytest.mark.parametrize(
    ("codes", "axis", "stadiums", "expected"),
    [
        ({"NORM": 100, "SR": 0}, "", (), {"normal"}),
        ({"NORM": 50}, "", (), {"normal"}),
        ({"NORM": 49}, "", (), set()),
        ({"LOWT": 0}, "", (), {"flat-t-wave"}),
        ({"IMI": 100}, "", (), {"inferior-wall-infarction"}),
        ({"IMI": 0}, "", (), {"inferior-wall-infarction"}),
        ({"IMI": 80}, "", (), {"suspected-inferior-wall-infarction"}),
        ({"IMI": 50}, "", (), {"suspected-inferior-wall-infarction"}),
        ({"IMI": 35}, "", (), {"possible-inferior-wall-infarction"}),
        ({"IMI": 100}, "", ("Stadium II",), {"subacute-inferior-wall-infarction"}),
        ({"IMI": 50}, "", ("Stadium I",), {"suspected-acute-inferior-wall-infarction"}),
        ({"IMI": 100}, "", ("Stadium I",), {"inferior-wall-infarction"}),
        ({"AMI": 100}, "", ("Stadium I",), {"acute-anterior-wall-infarction"}),
        ({"AMI": 100}, "", ("Stadium II-III",), {"anterior-wall-infarction"}),
        ({"ASMI": 100, "IMI": 100}, "", ("Stadium II", "Stadium II"),
         {"subacute-anteroseptal-infarction", "subacute-inferior-wall-infarction"}),
        ({"LVH": 100}, "", (), {"left-ventricular-hypertrophy"}),
        ({"LVH": 15}, "", (), set()),
        ({"LVH": 100, "LAO/LAE": 100}, "", (), {"left-ventricular-hypertrophy-with-left-atrial-enlargement"}),
        ({"LVH": 100, "RVH": 100}, "", (), {"biventricular-hypertrophy"}),
        ({"LVH": 100, "LAO/LAE": 15}, "", (), {"left-ventricular-hypertrophy"}),
        ({"NDT": 100, "NST_": 0}, "", (), {"st-t-abnormality"}),
        ({"LAFB": 80}, "", (), {"suspected-left-anterior-fascicular-block"}),
        ({}, "LAD", (), {"left-axis-deviation"}),
        ({}, "ALAD", (), {"left-axis-deviation"}),
        ({}, "ARAD", (), {"severe-right-axis-deviation"}),
        ({}, "MID", (), set()),
        ({"2AVB": 100, "TRIGU": 0, "STE_": 0}, "", (), set()),
    ],
)  # fmt: skip
def test_clause(
    labeller: ScpLabeller, codes: dict[str, float], axis: str, stadiums: tuple[str, ...], expected: set[str]
) -> None:
    assert found(labeller, codes, axis, *stadiums) == expected


def test_a_code_matches_whole_never_by_substring(labeller: ScpLabeller) -> None:
    assert found(labeller, {"ILMI": 100, "IPLMI": 100, "ALMI": 100}) == set()


@pytest.mark.parametrize(
    "cell", ["IMI@maybe", "imi", "IMI#III", "axis:", "IMI|", "+IMI", "IMI LMI", "IMI@suspected@possible"]
)
def test_what_is_no_term_is_refused(cell: str) -> None:
    with pytest.raises(ValueError, match="is no term of the grammar"):
        parse_cell(cell)


def test_a_near_cell_never_assigns() -> None:
    assert parse_cell("~IMI") == parse_cell("") == ()
    assert parse_cell("LVH+LAO/LAE|axis:LAD") == (
        frozenset({Term("LVH"), Term("LAO/LAE")}),
        frozenset({Term("LAD", axis=True)}),
    )


def naive_findings(bank: LabelBank, codes: dict[str, float], axis: str, stadiums: tuple[str, ...]) -> set[str]:
    """The README's words, one by one, on strings."""
    cells = {f.id: f.columns["scp"] for f in bank.findings if f.columns["scp"] and f.columns["scp"][0] != "~"}
    graded = {t.split("@")[0] for c in cells.values() for a in c.split("|") for t in a.split("+") if "@" in t}

    def holds(term: str) -> bool:
        if term.startswith("axis:"):
            return axis == term[5:]
        name, _, stage = term.partition("#")
        code, _, grade = name.partition("@")
        if code not in codes or (stage and f"Stadium {stage}" not in stadiums):
            return False
        level = codes[code]
        if grade:
            return 50 <= level <= 99 if grade == "suspected" else 1 <= level <= 49
        return level in (0, 100) if code in graded else level == 0 or level >= 50

    held = {i: [a for a in c.split("|") if all(map(holds, a.split("+")))] for i, c in cells.items()}
    every = [a for alternatives in held.values() for a in alternatives]

    def beaten(a: str) -> bool:
        return any(
            b != a and (("+" in b and set(a.split("+")) < set(b.split("+"))) or b.split("#")[0] == a) for b in every
        )

    return {i for i, alternatives in held.items() if any(not beaten(a) for a in alternatives)}


CODES = [
    "NORM",
    "IMI",
    "ASMI",
    "LMI",
    "AMI",
    "PMI",
    "LVH",
    "RVH",
    "LAO/LAE",
    "RAO/RAE",
    "LAFB",
    "NDT",
    "STD_",
    "AFIB",
    "ILMI",
]


@given(
    st.dictionaries(st.sampled_from(CODES), st.sampled_from([0.0, 15.0, 35.0, 49.0, 50.0, 80.0, 99.0, 100.0])),
    st.sampled_from(["", "LAD", "ALAD", "RAD", "ARAD", "MID", "AXL"]),
    st.lists(st.sampled_from(["unknown", "Stadium I", "Stadium I-II", "Stadium II", "Stadium III"]), max_size=2),
)
def test_against_the_naive_twin(codes: dict[str, float], axis: str, stadiums: list[str]) -> None:
    bank = label_bank()
    by_rule = ScpLabeller(bank).findings(Statements(codes, axis, tuple(stadiums)))
    assert set(by_rule) == naive_findings(bank, codes, axis, tuple(stadiums))
    assert list(by_rule) == sorted(by_rule, key=bank.position)


@given(st.text(max_size=30))
def test_the_parser_knows_no_third_outcome(cell: str) -> None:
    try:
        alternatives = parse_cell(cell)
    except ValueError:
        return
    assert not cell or cell.startswith("~") or all(alternatives)
