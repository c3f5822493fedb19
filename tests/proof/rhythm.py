"""Rhythm: premature beats, and the rate and regularity of the others."""

from __future__ import annotations

import numpy as np

from tests.proof.atrium import PWaves
from tests.proof.beats import RATE
from tests.proof.shapes import Families

MS = 1000 / RATE
NAN = float("nan")


def ventricular(found: Families, samples: int) -> np.ndarray:
    """Which beats are wide and of another shape than the dominant one; never one that the record's ends cut."""
    dominant = float(np.median(found.width_ms[found.family == 0]))
    other = found.match < 0.86
    wide = (found.width_ms >= 112) & (found.width_ms > dominant + 16)
    wide |= (found.width_ms >= 120) & (dominant >= 116) & (found.match < 0.75)
    whole = (found.samples > 50) & (found.samples < samples - 100)
    drowned = found.width_ms > 300  # noise, no QRS is as wide
    return other & wide & whole & ~drowned


def letters(found: Families, samples: int, p: PWaves, likeness: np.ndarray, from_ventricle: np.ndarray) -> str:
    """N, A or V of each beat.

    A premature beat without a P wave whose QRS clearly leaves the others' narrow range of shapes is ventricular too,
    though no wider than they are by its velocity (as in MIT-BIH 105).
    """
    times = found.samples / RATE
    before = np.diff(times, prepend=np.nan)
    # Wide beats that come in time after a usual P wave are conducted, though aberrantly (PTB-XL 173).
    in_time = (before > 0.92 * np.nanmedian(before)) & (likeness > 0.7)
    if from_ventricle.mean() < 0.6:
        from_ventricle = from_ventricle & ~in_time
    early = premature(times, from_ventricle, p, likeness)
    usual = found.match[~early & ~from_ventricle]
    odd = found.match < min(0.93, float(np.percentile(usual, 15)) - 0.05) if len(usual) else np.zeros(len(early), bool)
    whole = (found.samples > 50) & (found.samples < samples - 100)
    from_ventricle = from_ventricle | (early & odd & (p.of_beat < 0) & whole)
    return "".join(np.where(from_ventricle, "V", np.where(early, "A", "N")))


def premature(times: np.ndarray, from_ventricle: np.ndarray, p: PWaves, likeness: np.ndarray) -> np.ndarray:
    """Beats that come at least 15 % early in a sinus rhythm that is otherwise regular.

    A beat that is only a little early must also show another P wave, or none: sinus arrhythmia does not.
    `likeness` is the correlation of each beat's P with the usual P.
    """
    rr = np.diff(times)
    early = np.zeros(len(times), dtype=bool)
    plain = ~(from_ventricle[1:] | from_ventricle[:-1])
    if len(rr) < 3 or plain.sum() < 2:
        return early
    reference = _usual(rr[plain])
    for beat in range(1, len(times)):
        if from_ventricle[beat] or from_ventricle[beat - 1]:
            continue
        before = rr[beat - 1]
        running = early[beat - 1] and before < 0.85 * reference
        sudden = beat < 2 or before < 0.88 * rr[beat - 2] or from_ventricle[beat - 2]
        early[beat] = before < 0.85 * reference and (sudden or running)
    rest = rr[~(early[1:] | early[:-1] | from_ventricle[1:] | from_ventricle[:-1])]
    usual = ~early & ~from_ventricle
    sinus = (p.of_beat[usual] >= 0).mean() > 0.5
    if not sinus or early.sum() > 0.7 * len(times) or not _regular(rest, early):
        return np.zeros(len(times), dtype=bool)
    return early & ~_expected_p(p, early) & _other_origin(early, rr, reference, p, likeness)


def _usual(rr: np.ndarray) -> float:
    """The interval of the undisturbed rhythm: the middle one, or that of the long ones where these are many."""
    longer = rr[rr > 0.88 * np.percentile(rr, 80)]
    return float(np.median(longer if len(longer) >= 0.3 * len(rr) else rr))


def _other_origin(early: np.ndarray, rr: np.ndarray, reference: float, p: PWaves, likeness: np.ndarray) -> np.ndarray:
    """Very early (under 72 %), or with a P wave that is absent or unlike the usual one, or beside such a beat."""
    before = np.concatenate([[reference], rr])
    other = (before < 0.72 * reference) | (p.of_beat < 0) | ~(likeness > 0.8)
    return other & early


def _regular(rest: np.ndarray, early: np.ndarray) -> bool:
    """Whether what remains beside the premature beats is regular (fibrillation is not)."""
    if len(rest) < 3:
        return bool(early.mean() > 0.25)
    return bool(np.std(rest) / np.mean(rest) < 0.11)


def _expected_p(p: PWaves, early: np.ndarray) -> np.ndarray:
    """Of the early beats those whose P wave came in time, the pause being the odd one (block)."""
    timely = np.zeros(len(early), dtype=bool)
    if len(p.spans) < 4:
        return timely
    steps = np.diff(p.spans[:, 0])
    usual = float(np.median(steps))
    for beat in np.flatnonzero(early):
        index = p.of_beat[beat]
        if index > 0 and steps[index - 1] > 0.88 * usual:
            timely[beat] = True
    return timely


def rr_numbers(times: np.ndarray, beats: str) -> dict[str, float]:
    """Rate and regularity from the intervals between beats that are not premature."""
    numbers = dict.fromkeys(("rate_bpm", "rr_variation", "rr_irregularity", "longest_rr", "v_rate_bpm"), NAN)
    numbers["n_beats"] = float(len(times))
    rr = np.diff(times)
    if len(rr) == 0:
        return numbers
    letter = np.array(list(beats))
    plain = (letter[1:] == "N") & (letter[:-1] == "N")
    if plain.sum() < 2:
        plain[:] = True
    used = rr[plain]
    numbers["rate_bpm"] = float(60 / used.mean())
    numbers["rr_variation"] = float(np.ptp(used) / used.mean())
    pairs = plain[1:] & plain[:-1]
    if pairs.any():
        numbers["rr_irregularity"] = float(np.abs(np.diff(rr))[pairs].mean() / used.mean())
    numbers["longest_rr"] = float(used.max() / np.median(used))
    numbers["v_rate_bpm"] = _run_rate(times, beats)
    return numbers


def _run_rate(times: np.ndarray, beats: str) -> float:
    best = (0, 0)
    start = 0
    for place in range(len(beats) + 1):
        if place == len(beats) or beats[place] != "V":
            if place - start > best[1] - best[0]:
                best = (start, place)
            start = place + 1
    first, stop = best
    if stop - first < 3:
        return NAN
    return float(60 * (stop - first - 1) / (times[stop - 1] - times[first]))
