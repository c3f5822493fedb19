"""The synthetic hospital: who has what, what keeps company, and what cannot be asked of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from pydantic import ValidationError

from ecgbench.cards import DatasetCard
from ecgbench.catalogue import load_card
from ecgbench.ecg.recording import Entry
from ecgbench.ecg.sources import open_source
from ecgbench.ecg.sources.synth98 import Synth98
from ecgbench.ecg.sources.synth98.affinity import Affinity, Pairing, affinity
from ecgbench.ecg.sources.synth98.criteria import NUMBERS, Criteria, allowed, common, criteria
from ecgbench.ecg.sources.synth98.plan import make_plan
from ecgbench.ecg.sources.synth98.prevalence import by_prevalence, by_split, proportional_records
from ecgbench.ecg.sources.synth98.request import SIZES, Request, read_request
from ecgbench.ecg.store import data_hash_of
from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_of
from ecgbench.findings import Finding, LabelBank, label_bank

SEEDS = (0, 1, 2)
REQUESTS = [{"seed": seed} for seed in SEEDS] + [{"balanced": 6}, {"balanced": 20, "seed": 1}]


@cache
def made(size: str = "S", seed: int = 0, balanced: int | None = None, labels: tuple[str, ...] = ()) -> list[Entry]:
    return Synth98(bank=label_bank(), version=1, size=size, seed=seed, balanced=balanced, labels=labels).entries()


@pytest.fixture(params=REQUESTS, ids=str)
def entries(request: pytest.FixtureRequest) -> list[Entry]:
    return made(**request.param)


def patients_by_split(entries: list[Entry]) -> dict[str, dict[str, set[str]]]:
    """finding -> split -> patients."""
    patients: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for entry in entries:
        for finding in entry.findings:
            patients[finding][entry.split].add(entry.patient)
    return patients


# ---- floors, contradictions, patients -------------------------------------------------------------


def test_every_finding_has_its_floor_of_patients_in_every_split(entries: list[Entry]) -> None:
    patients = patients_by_split(entries)
    for finding in label_bank().ids:
        own = patients[finding]
        assert len(own["train"]) >= 2 and len(own["validation"]) >= 1 and len(own["test"]) >= 2, finding
        assert sum(map(len, own.values())) >= 6, finding


def test_no_record_holds_a_contradiction_and_every_implied_finding_is_there(entries: list[Entry]) -> None:
    knowledge = criteria()
    for entry in entries:
        assert entry.findings and entry.findings == label_bank().in_order(set(entry.findings))
        pairs = {frozenset(pair) for pair in combinations(entry.findings, 2)}
        assert not pairs & knowledge.contradictions, entry
        for finding in entry.findings:
            label = knowledge.labels[finding]
            assert set(label.implies) <= set(entry.findings), entry
            assert not label.with_one_of or set(label.with_one_of) & set(entry.findings), entry
            for name in NUMBERS:  # all at once, not only by pairs
                bounds = [getattr(knowledge.labels[other].criterion, name) for other in entry.findings]
                assert common([b for b in bounds if b]) is not None, (entry, name)


def test_every_record_can_be_drawn() -> None:
    """All findings of a record together leave a rhythm, a QRS shape and a value of every quantity."""
    rng = np.random.default_rng(0)
    for findings in {entry.findings for entry in made("M")}:
        make_plan(findings, criteria(), rng, rng)


def shown_at_a_rate(findings: set[str], knowledge: Criteria) -> set[str]:
    """Findings that are a rhythm at a rate (sinus tachycardia) and that every record with `findings` shows, by the
    criteria and draws alone: the rhythm it must have, and a rate that can only lie within theirs."""
    rhythms = [set(own) for name in findings if (own := allowed(knowledge.labels[name], "rhythm"))]
    left = set.intersection(*rhythms) if rhythms else set(knowledge.defaults.rhythm or ())
    rhythm = set(knowledge.defaults.rhythm or ()) & left or left  # the generator takes the default where it may
    rates = [
        ranges.rate_bpm
        for name in findings
        for ranges in (knowledge.labels[name].criterion, knowledge.labels[name].draw)
    ]
    rate = common([bounds for bounds in rates if bounds]) if any(rates) else knowledge.defaults.rate_bpm
    shown = set()
    for name, label in knowledge.labels.items():
        said = {field for field, value in label.criterion if value} - {"rhythm", "rate_bpm"}
        if (
            said
            or label.criterion.rhythm is None
            or label.criterion.rate_bpm is None
            or len(label.criterion.rhythm) > 1
        ):
            continue
        inside = rate is not None and common([rate, label.criterion.rate_bpm]) == rate
        if inside and len(rhythm) == 1 and rhythm == set(label.criterion.rhythm):
            shown.add(name)
    return shown


def test_a_rhythm_at_a_rate_is_named_wherever_it_must_show() -> None:
    """A rate over 100 in sinus rhythm is sinus tachycardia: no record keeps quiet about one."""
    knowledge = criteria()
    assert shown_at_a_rate({"tachycardia"}, knowledge) == {"sinus-tachycardia"}  # what the records must not leave out
    assert shown_at_a_rate({"normal"}, knowledge) == set()
    for findings in {entry.findings for size in ("S", "M") for entry in made(size)}:
        assert shown_at_a_rate(set(findings), knowledge) <= set(findings), findings
    for entry in made("M"):
        held = set(entry.findings)
        if held & {"tachycardia", "severe-tachycardia"}:
            rhythms = held & {name for name, label in knowledge.labels.items() if "main-rhythm" in label.one_of}
            assert rhythms or "sinus-tachycardia" in held, entry


def test_patients_stay_in_one_split_and_some_come_again(entries: list[Entry]) -> None:
    splits: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        splits[entry.patient].add(entry.split)
    assert all(len(own) == 1 for own in splits.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_patients_and_splits_have_their_shares(seed: int) -> None:
    entries = made(seed=seed)
    times = Counter(Counter(entry.patient for entry in entries).values())
    assert set(times) == {1, 2, 3} and times[1] > times[2] > times[3] > 10
    shares = {split: n / len(entries) for split, n in Counter(entry.split for entry in entries).items()}
    assert shares == pytest.approx({"train": 0.7, "validation": 0.1, "test": 0.2}, abs=0.04)


def test_a_repeat_record_shares_a_finding_and_contradicts_nothing(entries: list[Entry]) -> None:
    by_patient: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_patient[entry.patient].append(entry)
    for records in by_patient.values():
        everything = set().union(*(record.findings for record in records))
        assert not {frozenset((a, b)) for a in everything for b in everything} & criteria().contradictions
        assert len({record.sex for record in records}) == 1
        assert np.ptp([record.age for record in records]) == len(records) - 1
        for record in records[1:]:
            others = set().union(*(other.findings for other in records if other is not record))
            assert set(record.findings) & others


def test_conduction_disease_and_fibrillation_are_of_the_old_and_infarction_rather_of_men() -> None:
    entries = made("M")

    def ages(finding: str) -> float:
        return float(np.mean([entry.age for entry in entries if finding in entry.findings]))

    def men(finding: str) -> float:
        return float(np.mean([entry.sex == "male" for entry in entries if finding in entry.findings]))

    for finding in ("atrial-fibrillation", "complete-right-bundle-branch-block", "pacemaker-rhythm"):
        assert ages(finding) > ages("st-t-abnormality") + 3 > ages("normal"), finding
    assert men("lateral-wall-infarction") > men("normal") + 0.04


# ---- prevalence -----------------------------------------------------------------------------------


def test_prevalence_follows_the_paper() -> None:
    entries = made()
    assert len(entries) == 1000
    counts = Counter(finding for entry in entries for finding in entry.findings)
    assert 0.13 <= counts["normal"] / len(entries) <= 0.15
    assert all(entry.findings == ("normal",) for entry in entries if "normal" in entry.findings)
    paper = {finding: int(n) for finding, n in label_bank().column("n_test").items()}
    common_ones = [finding for finding in paper if paper[finding] >= 60 and finding != "normal"]
    ratios = np.array([counts[finding] / paper[finding] for finding in common_ones])
    assert ratios.max() / ratios.min() < 1.5


@pytest.mark.parametrize("size", ["S", "M"])
def test_a_record_holds_about_two_findings(size: str) -> None:
    entries = made(size)
    assert len(entries) == SIZES[size]
    assert np.mean([len(entry.findings) for entry in entries]) == pytest.approx(2.0, abs=0.1)


def test_proportional_counts_are_the_papers_scaled() -> None:
    """The naive sum: every finding but normal in proportion to n_test, 2.17 of them in each record that is not normal."""
    paper = {finding: int(n) for finding, n in label_bank().column("n_test").items()}
    shares = proportional_records(label_bank(), 1000)
    assert shares["normal"] == pytest.approx(148)
    for finding, count in paper.items():
        if finding != "normal":
            naive = (1000 - 148) * 2.17 * count / (sum(paper.values()) - paper["normal"])
            assert shares[finding] == pytest.approx(naive)
    wanted = by_prevalence(label_bank(), 1000)
    assert sum(sum(splits.values()) for splits in wanted.values()) == pytest.approx(sum(shares.values()), rel=0.02)
    assert min(sum(splits.values()) for splits in wanted.values()) == 6


def test_splits_of_a_total() -> None:
    assert by_split(6) == {"train": 3, "validation": 1, "test": 2}
    assert by_split(100) == {"train": 70, "validation": 10, "test": 20}
    assert all(sum(by_split(total).values()) == total for total in range(6, 300))


def test_the_excess_of_rare_findings_is_said() -> None:
    source = Synth98(bank=label_bank(), version=1)
    said = source.remarks()
    assert (said["version"], said["size"], said["seed"], said["records"]) == (1, "S", 0, 1000)
    counts = Counter(finding for entry in source.entries() for finding in entry.findings)
    assert said["findings_per_record"] == pytest.approx(counts.total() / 1000, abs=0.001)
    shares = proportional_records(label_bank(), 1000)
    assert set(said["raised_by_floor"]) == {finding for finding, share in shares.items() if share < 6}
    for finding, row in said["raised_by_floor"].items():
        assert row["wanted"] == 6 <= row["actual"] == counts[finding]
    excess = sum(counts[finding] - shares[finding] for finding in said["raised_by_floor"])
    assert said["excess_records"] == pytest.approx(excess, abs=0.6) and excess > 50
    assert Synth98(bank=label_bank(), version=1, size="L").request.identity() == {"size": "L", "seed": 0}
    assert "raised_by_floor" not in Synth98(bank=label_bank(), version=1, balanced=6).remarks()


# ---- what keeps company ---------------------------------------------------------------------------


@cache
def held() -> tuple[np.ndarray, dict[str, int]]:
    """(records, 98) bool of the records of size M that are not normal, and the column of each finding."""
    column = {finding: i for i, finding in enumerate(criteria().labels)}
    entries = [entry for entry in made("M") if entry.findings != ("normal",)]
    table = np.zeros((len(entries), len(column)), bool)
    for row, entry in enumerate(entries):
        table[row, [column[finding] for finding in entry.findings]] = True
    return table, column


def pooled_odds_ratio(pairs: list[tuple[str, str]]) -> tuple[float, float]:
    """Mantel and Haenszel's odds ratio over pairs that may stand together, and the co-occurrences that independence
    would lead one to expect in all."""
    table, column = held()
    above = below = expected = 0.0
    for pair in pairs:
        if frozenset(pair) in criteria().contradictions:
            continue
        a, b = (table[:, column[finding]] for finding in pair)
        both, neither = (a & b).sum(), (~a & ~b).sum()
        above += both * neither / len(table)
        below += (a & ~b).sum() * (~a & b).sum() / len(table)
        expected += a.sum() * b.sum() / len(table)
    return (above / below if below else np.nan), expected


@pytest.mark.parametrize("row", affinity().pairs, ids=lambda row: f"{row.of[0]}+{row.partners[0]}")
def test_findings_that_keep_company_co_occur_more_often_than_by_chance(row: Pairing) -> None:
    pairs = list(affinity().pairs_of(row))
    assert any(frozenset(pair) not in criteria().contradictions for pair in pairs), "no pair of this row can ever stand"
    ratio, expected = pooled_odds_ratio(pairs)
    if expected < 15:
        pytest.skip(f"{expected:.0f} expected together among 10,000 records: chance decides")
    assert ratio > 1.1


def test_other_pairs_co_occur_less_often_than_those() -> None:
    """A check on the check: pairs that the table does not name stay at or under what chance gives."""
    named = {frozenset(pair) for row in affinity().pairs for pair in affinity().pairs_of(row)}
    others = [
        pair for pair in combinations(criteria().labels, 2) if frozenset(pair) not in named and "normal" not in pair
    ]
    every = [pair for row in affinity().pairs for pair in affinity().pairs_of(row)]
    assert pooled_odds_ratio(others)[0] < 1.05 < 1.4 < pooled_odds_ratio(every)[0]


def test_the_weights_are_symmetric_and_the_larger_of_two_counts() -> None:
    labels = list(criteria().labels)
    weights = affinity().matrix(labels)
    assert np.array_equal(weights, weights.T) and (np.diag(weights) == 1).all() and (weights > 0).all()
    named: dict[frozenset[str], float] = {}
    for row in affinity().pairs:
        for one in affinity().findings_of(row.of):
            for other in affinity().findings_of(row.partners):
                key = frozenset((one, other))
                named[key] = max(named.get(key, 0.0), row.weight)
    for i, j in zip(*np.triu_indices(len(labels), 1), strict=True):
        assert weights[i, j] == named.get(frozenset((labels[i], labels[j])), 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pairs": [{"of": ["gout"], "with": ["normal"], "weight": 2, "source": ["x"]}]}, "no finding or group is named gout"),
        ({"pairs": [{"of": ["normal"], "with": ["flat-t-wave"], "weight": 0, "source": ["x"]}]}, "greater than 0"),
        ({"pairs": [{"of": ["normal"], "with": ["flat-t-wave"], "weight": 2, "source": ["y"]}]}, "no source is named y"),
        ({"groups": {"normal": ["flat-t-wave"]}}, "bears the name of a finding"),
        ({"male_odds": [{"of": ["normal"], "odds": -1, "source": ["x"]}]}, "greater than 0"),
    ],
)  # fmt: skip
def test_a_table_of_company_that_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    empty = {"sources": {"x": "X"}, "groups": {}, "pairs": [], "age_years": [], "male_odds": []}
    assert Affinity.model_validate(empty).matrix(["normal"]).tolist() == [[1.0]]
    with pytest.raises(ValidationError, match=message):
        Affinity.model_validate({**empty, **change})


# ---- requests -------------------------------------------------------------------------------------


def test_entries_are_the_same_every_time_and_fully_described() -> None:
    entries = made()
    assert entries == Synth98(bank=label_bank(), version=1).entries()
    assert entries != made(seed=1)
    assert len({entry.record for entry in entries}) == len({e.source_sha256 for e in entries}) == len(entries)
    first = entries[0]
    assert first.record == "s00001"
    request = {"size": "S", "seed": 0}
    assert first.source_sha256 == hash_of(["synth98", 1, request, first.record, *first.findings])
    assert all(18 <= (e.age or 0) <= 100 and e.sex in ("female", "male") and e.report is None for e in entries)


@pytest.mark.parametrize("each", [6, 20, 33])
def test_balanced_gives_every_finding_its_records(each: int) -> None:
    counts = Counter(finding for entry in made(balanced=each) for finding in entry.findings)
    assert set(counts) == set(label_bank().ids) and min(counts.values()) == each
    bound_to_have_more = {name for label in criteria().labels.values() for name in (*label.implies, *label.with_one_of)}
    assert {finding for finding, count in counts.items() if count > each} <= bound_to_have_more


def test_chosen_labels_come_alone_with_normal_and_what_they_imply() -> None:
    chosen = ("left-anterior-fascicular-block", "flat-t-wave")
    counts = Counter(finding for entry in made(balanced=10, labels=chosen) for finding in entry.findings)
    assert counts == {"normal": 10, **dict.fromkeys(chosen, 10), "left-axis-deviation": 10}


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        (None, Request()),
        ("M", Request("M")),
        ("S,seed=3", Request("S", 3)),
        ("seed=3", Request("S", 3)),
        ("size=L, seed=1", Request("L", 1)),
        ("balanced=20", Request(balanced=20)),
        ("labels=a+b,balanced=20,seed=2", Request(seed=2, balanced=20, labels=("a", "b"))),
    ],
)
def test_requests_as_text(text: str | None, request_: Request) -> None:
    assert read_request(text, {"size": "S", "seed": 0}) == request_


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("XL", r"it is S \(1,000 records\), M"),
        ("s", r"it is S \(1,000 records\), M"),
        ("0", "no size '0'"),
        ("size=0", "no size '0'"),
        ("records=500", "no option 'records': write size=, seed=, balanced= or labels="),
        ("seed=-1", "a seed is 0 or more"),
        ("seed=x", "seed is a whole number"),
        ("seed=1.5", "seed is a whole number"),
        ("seed=٣", "seed is a whole number"),
        ("seed=" + "9" * 5000, "at most 18 digits"),
        ("balanced=0", "some split would be left without enough patients"),
        ("balanced=5", r"write balanced=6 or more"),
        ("balanced=-20", "write balanced=6 or more"),
        ("balanced=many", "balanced is a whole number"),
        ("balanced=1000000", "at most 1000 records a label"),
        ("M,balanced=20", "leave one of them out"),
        ("M,L", "gives size twice"),
        ("seed=1,seed=2", "gives seed twice"),
        ("", "leaves size empty"),
        ("M,", "leaves size empty"),
        ("seed=", "leaves seed empty"),
        ("M,labels=normal", "labels= only with balanced="),
        ("balanced=20,labels=normal+atrial-fibrilation", r"unknown finding 'atrial-fibrilation': did you mean atrial-fibrillation"),
    ],
)  # fmt: skip
def test_requests_that_cannot_be_met_are_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(EcgbenchError, match=message) as refusal:
        open_source(f"synth98:{text}")
    assert "\n" not in str(refusal.value)


def test_objects_are_refused_alike() -> None:
    with pytest.raises(EcgbenchError, match="seed is 0 or more"):
        Synth98(bank=label_bank(), version=1, seed=-1)
    with pytest.raises(EcgbenchError, match="a version is 1 or more"):
        Synth98(bank=label_bank(), version=0)
    with pytest.raises(EcgbenchError, match=r"load an entry from this source's entries"):
        Synth98(bank=label_bank(), version=1).load(made(seed=1)[0])
    small = LabelBank("mine.csv", label_bank().findings[:5])
    with pytest.raises(EcgbenchError, match=r"use the label table labels98\.csv"):
        Synth98(bank=small, version=1).entries()


def test_a_label_table_without_counts_is_refused() -> None:
    first, *rest = label_bank().findings
    uncounted = Finding(first.id, first.names, {**first.columns, "n_test": "many"})
    with pytest.raises(EcgbenchError, match=f"n_test of {first.id} is 'many'"):
        Synth98(bank=LabelBank("mine.csv", (uncounted, *rest)), version=1).entries()


def test_every_part_of_a_request_is_in_the_data_hash() -> None:
    card = load_card(DatasetCard, "synth98")

    def data_hash(text: str | None) -> str:
        bank = label_bank()
        request = read_request(text, card.params)
        entries = Synth98(
            bank=bank, version=1, size=request.size, seed=request.seed, balanced=request.balanced, labels=request.labels
        ).entries()
        return data_hash_of("synth98", 1, [(e.record, e.source_sha256, e.findings, e.split) for e in entries])

    different = [None, "S,seed=1", "balanced=6", "balanced=6,seed=1", "balanced=7", "balanced=6,labels=flat-t-wave"]
    assert len({data_hash(text) for text in different}) == len(different)
    assert data_hash("size=S,seed=0") == data_hash(None)
    a_few = made(balanced=6)[:3]
    hashes = {tuple(replace(e, patient="p1").source_sha256 for e in a_few), tuple(e.source_sha256 for e in made()[:3])}
    assert len(hashes) == 2


@pytest.mark.slow
def test_the_largest_size_keeps_the_floor_and_the_count() -> None:
    entries = made("L")
    assert len(entries) == 37285
    assert min(sum(map(len, splits.values())) for splits in patients_by_split(entries).values()) >= 6


@pytest.mark.parametrize("params", [{"size": "S", "seed": "abc"}, {"size": "S", "balanced": 20}, {"size": "XL"}])
def test_a_card_with_wrong_params_is_refused_in_one_sentence(params: dict[str, object]) -> None:
    with pytest.raises(EcgbenchError, match=r"synth98"):
        read_request(None, params)
