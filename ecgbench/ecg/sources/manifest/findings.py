"""One cell of findings -> its wordings."""

from __future__ import annotations

from ecgbench.ecg.sources.manifest.vocabulary import SEPARATOR, Vocabulary


def split_findings(cell: str, vocabulary: Vocabulary) -> list[str]:
    """The wordings of a cell as they stand there, in order.

    A cell is split at `SEPARATOR`, but not inside a known wording: of those that begin at a separator (or the start)
    and end at one (or the end), the longest is taken, from left to right.
    """
    breaks = list(SEPARATOR.finditer(cell))
    starts = [0, *(found.end() for found in breaks)]
    ends = [*(found.start() for found in breaks), len(cell)]
    most = vocabulary.separators
    wordings: list[str] = []
    place = 0
    while place < len(starts):
        last = place
        for end in range(min(place + most, len(ends) - 1), place, -1):
            if vocabulary.meaning(cell[starts[place] : ends[end]]) is not None:
                last = end
                break
        wording = cell[starts[place] : ends[last]].strip()
        if wording:
            wordings.append(wording)
        place = last + 1
    return wordings
