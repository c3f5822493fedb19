"""Which findings keep company and whom they befall, read from `affinity.yaml`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from ecgbench.ecg.sources.synth98.criteria import Part, criteria, own_table


class Row(Part):
    """One association: findings or groups of them, and what backs its direction."""

    of: tuple[str, ...] = Field(min_length=1)
    source: tuple[str, ...] = Field(min_length=1)


class Pairing(Row):
    """Every finding of `of` with every one of `with`, as often as chance has it times `weight`."""

    partners: tuple[str, ...] = Field(min_length=1, alias="with")
    weight: float = Field(gt=0)


class Ageing(Row):
    """Patients with one of these findings are so many years older."""

    years: float = Field(ge=-30, le=30)


class Sexes(Row):
    """Patients with one of these findings are men at these odds, against those of all patients."""

    odds: float = Field(gt=0)


class Affinity(Part):
    """The whole of `affinity.yaml`."""

    sources: dict[str, str]
    groups: dict[str, tuple[str, ...]]
    pairs: tuple[Pairing, ...]
    age_years: tuple[Ageing, ...]
    male_odds: tuple[Sexes, ...]

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        known = {*criteria().labels}
        named = {name for names in self.groups.values() for name in names}
        for row in (*self.pairs, *self.age_years, *self.male_odds):
            named |= {name for name in row.of if name not in self.groups}
            if isinstance(row, Pairing):
                named |= {name for name in row.partners if name not in self.groups}
            if unknown := set(row.source) - set(self.sources):
                raise ValueError(f"no source is named {', '.join(sorted(unknown))}")
        if unknown := named - known:
            raise ValueError(f"no finding or group is named {', '.join(sorted(unknown))}")
        if unknown := set(self.groups) & known:
            raise ValueError(f"a group bears the name of a finding: {', '.join(sorted(unknown))}")
        return self

    def findings_of(self, names: Iterable[str]) -> list[str]:
        """Findings and groups -> findings, each once, in order."""
        return list(dict.fromkeys(finding for name in names for finding in self.groups.get(name, (name,))))

    def pairs_of(self, row: Pairing) -> Iterator[tuple[str, str]]:
        """Every pair of two findings that a row speaks of, once."""
        seen: set[frozenset[str]] = set()
        for one in self.findings_of(row.of):
            for other in self.findings_of(row.partners):
                if one != other and frozenset((one, other)) not in seen:
                    seen.add(frozenset((one, other)))
                    yield one, other

    def matrix(self, labels: list[str]) -> np.ndarray:
        """(n, n), symmetric: the weight of every pair; of two rows that name a pair the larger weight counts."""
        at = {name: i for i, name in enumerate(labels)}
        weights = np.ones((len(labels), len(labels)))
        for row in sorted(self.pairs, key=lambda row: row.weight):
            for one, other in self.pairs_of(row):
                weights[at[one], at[other]] = weights[at[other], at[one]] = row.weight
        return weights

    def years(self, findings: Iterable[str]) -> float:
        """How much older than others a patient with these findings is."""
        held = set(findings)
        own = [row.years for row in self.age_years if held & set(self.findings_of(row.of))]
        return max(own, default=0.0)

    def odds(self, findings: Iterable[str]) -> float:
        """The factor on the odds of being a man."""
        held, odds = set(findings), 1.0
        for row in self.male_odds:
            if held & set(self.findings_of(row.of)):
                odds *= row.odds
        return odds


@lru_cache
def affinity() -> Affinity:
    """The table that belongs to this package, validated."""
    return own_table("affinity.yaml", Affinity)
