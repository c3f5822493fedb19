"""The humble row of measurements: what a machine prints above an ECG, and one linear layer.

Beats are found by the energy of the 5 to 25 Hz band over all leads (after Pan and Tompkins 1985); intervals and amplitudes
are measured once, on the median beat. All of it is plain arithmetic without a gradient, in double precision, each recording
by itself. `FEATURES` says what each number is, its unit, and where it is defined. A recording without three whole beats
gives zeros but for the number of beats.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecgbench.ecg.recording import LEADS

MOST_RATE = 250
"""Hz that measuring needs; a higher input rate is brought down to about this."""
BEFORE, AFTER = 0.4, 0.6
"""Seconds of a beat before and after its R peak."""
FEWEST_BEATS = 3
FARTHEST = 10.0
"""Standard units beyond which a feature is cut."""

_HRV = "Task Force of the ESC and NASPE 1996, Heart rate variability"
_MEASURED = "Kligfield et al. 2007, AHA/ACC/HRS recommendations I"
_QT = "Rautaharju et al. 2009, AHA/ACCF/HRS recommendations IV"
_AXIS = "Novosel et al. 1999, Corrected formula for the calculation of the electrical heart axis"


@dataclass(frozen=True)
class Feature:
    """A measurement: `centre` and `scale` in its unit bring it to about 0 and 1 in adults."""

    name: str
    unit: str
    centre: float
    scale: float
    source: str


FEATURES: tuple[Feature, ...] = (
    Feature("beats", "count", 12, 4, "beats found in the recording"),
    Feature("heart rate", "1/min", 75, 20, "60 s by the mean RR interval"),
    Feature("RR deviation", "ms", 40, 60, f"standard deviation of RR intervals; {_HRV}"),
    Feature("RMSSD", "ms", 40, 60, f"root mean square of successive differences of RR intervals; {_HRV}"),
    Feature("PR interval", "ms", 160, 30, f"onset of P to onset of QRS; {_MEASURED}"),
    Feature("QRS duration", "ms", 95, 20, f"onset to end of QRS over all leads; {_MEASURED}"),
    Feature("QT interval", "ms", 390, 40, f"onset of QRS to end of T over all leads; {_MEASURED}"),
    Feature("QTc", "ms", 410, 30, f"QT by the cube root of RR in seconds (Fridericia); {_QT}"),
    Feature("P amplitude in II", "mV", 0.1, 0.1, f"at the peak of P over all leads, from the PR segment; {_MEASURED}"),
    Feature("QRS axis, cosine", "1", 0, 0.7, f"of the angle of the net areas in I and aVF; {_AXIS}"),
    Feature("QRS axis, sine", "1", 0, 0.7, f"of the angle of the net areas in I and aVF; {_AXIS}"),
    Feature("T axis, cosine", "1", 0, 0.7, f"of the angle of the amplitudes in I and aVF; {_AXIS}"),
    Feature("T axis, sine", "1", 0, 0.7, f"of the angle of the amplitudes in I and aVF; {_AXIS}"),
    *(Feature(f"R in {lead}", "mV", 0.7, 0.5, f"highest point of QRS; {_MEASURED}") for lead in LEADS),
    *(Feature(f"S in {lead}", "mV", -0.5, 0.5, f"lowest point of QRS, Q included; {_MEASURED}") for lead in LEADS),
    *(Feature(f"ST in {lead}", "mV", 0, 0.1, f"60 ms after the end of QRS; {_QT}") for lead in LEADS),
    *(Feature(f"T in {lead}", "mV", 0.1, 0.3, f"at the peak of T over all leads; {_QT}") for lead in LEADS),
)


class StatsEncoder(nn.Module):
    """(batch, 12, samples) in mV, leads in the standard order -> (batch, width)."""

    def __init__(self, *, leads: int, samples: int, rate: int, width: int) -> None:
        super().__init__()
        if leads != len(LEADS) or samples < 2 * rate:
            raise ValueError(
                f"stats needs {len(LEADS)} leads and 2 s, not {leads} leads of {samples} samples at {rate} Hz"
            )
        self.rate = rate
        self.layer = nn.Linear(len(FEATURES), width)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            measured = measure(x, self.rate)
            centre = measured.new_tensor([feature.centre for feature in FEATURES])
            scale = measured.new_tensor([feature.scale for feature in FEATURES])
            standard = ((measured - centre) / scale).clamp(-FARTHEST, FARTHEST)
            # What could not be measured stands at the centre; the number of beats, the first feature, always counts.
            standard = torch.cat([standard[:, :1], standard[:, 1:].nan_to_num(0.0)], 1).float()
        return self.layer(standard)


def measure(x: Tensor, rate: int) -> Tensor:
    """(batch, 12, samples) in mV -> (batch, FEATURES) float64 in their units; NaN for what could not be measured."""
    together = max(1, rate // MOST_RATE)
    signal = F.avg_pool1d(x.double(), together)
    signal = signal - signal.mean(-1, keepdim=True)
    hertz = rate / together
    peaks, real = find_beats(signal, hertz)
    beat, whole = median_beat(signal, peaks, real, hertz)
    rhythm = _rhythm(peaks, real, hertz)
    waves = _waves(beat, rhythm[:, :1], hertz)
    enough = whole.sum(1, keepdim=True) >= FEWEST_BEATS
    rest = torch.cat([rhythm[:, 1:], waves], 1)
    return torch.cat([real.sum(1, keepdim=True).double(), rest.where(enough, torch.nan)], 1)


def find_beats(signal: Tensor, hertz: float) -> tuple[Tensor, Tensor]:
    """(batch, leads, samples) -> samples of the R peaks (batch, beats), in order, and which of them are real."""
    band = _band(signal, hertz, 5.0, 25.0).square().sum(1)
    energy = _smooth(band, hertz, 0.1)
    height = _in_windows(energy, round(2 * hertz)).median(1, keepdim=True).values
    highest = _highest_around(energy, round(0.2 * hertz))
    found = (energy == highest) & (energy > 0.2 * height) & (energy > 1e-6)
    samples = torch.arange(signal.shape[-1], device=signal.device).expand_as(found)
    most = max(1, int(found.sum(1).max()))
    order = samples.where(found, signal.shape[-1]).sort(1).values[:, :most]
    real = order < signal.shape[-1]
    reach = round(0.08 * hertz)
    near = (order.unsqueeze(2) + torch.arange(-reach, reach + 1, device=signal.device)).clamp(0, signal.shape[-1] - 1)
    sharpest = band.unsqueeze(1).expand(-1, most, -1).gather(2, near).argmax(2, keepdim=True)
    return near.gather(2, sharpest).squeeze(2), real


def median_beat(signal: Tensor, peaks: Tensor, real: Tensor, hertz: float) -> tuple[Tensor, Tensor]:
    """The median over a recording's whole beats (batch, leads, samples of a beat), and which beats are whole."""
    before, after = round(BEFORE * hertz), round(AFTER * hertz)
    whole = real & (peaks >= before) & (peaks + after < signal.shape[-1])
    offsets = torch.arange(-before, after + 1, device=signal.device)
    places = (peaks.unsqueeze(2) + offsets).clamp(0, signal.shape[-1] - 1)
    batch, beats, length = places.shape
    flat = places.reshape(batch, 1, -1).expand(-1, signal.shape[1], -1)
    cut = signal.gather(2, flat).reshape(batch, signal.shape[1], beats, length)
    cut = cut.where(whole[:, None, :, None], torch.nan)
    return cut.nanmedian(2).values.nan_to_num(0.0), whole


def _rhythm(peaks: Tensor, real: Tensor, hertz: float) -> Tensor:
    """(batch, 4): mean RR in s, heart rate, RR deviation, RMSSD."""
    between = (peaks[:, 1:] - peaks[:, :-1]).double() / hertz
    between = between.where(real[:, 1:] & real[:, :-1], torch.nan)
    change = between[:, 1:] - between[:, :-1]
    mean = between.nanmean(1, keepdim=True)
    deviation = (between - mean).square().nanmean(1, keepdim=True).sqrt() * 1000
    successive = change.square().nanmean(1, keepdim=True).sqrt() * 1000
    return torch.cat([mean, 60 / mean, deviation, successive], 1)


def _waves(beat: Tensor, cycle: Tensor, hertz: float) -> Tensor:
    """Intervals, axes and amplitudes of a median beat (batch, leads, samples): FEATURES from the PR interval on."""
    onset, end = _qrs(beat, hertz)
    time = torch.arange(beat.shape[-1], device=beat.device).expand(len(beat), -1)
    level = _mean_where(beat, (time >= onset - 0.04 * hertz) & (time <= onset - 0.01 * hertz))
    beat = beat - level.unsqueeze(2)
    size = _smooth(beat.square().sum(1).sqrt(), hertz, 0.02)
    peak_t, end_t = _t_wave(size, time, end, cycle, hertz)
    peak_p, onset_p = _p_wave(size, time, onset, hertz)
    inside = (time >= onset) & (time <= end)
    highest = beat.where(inside.unsqueeze(1), -torch.inf).amax(2)
    lowest = beat.where(inside.unsqueeze(1), torch.inf).amin(2)
    area = (beat * inside.unsqueeze(1)).sum(2)
    wave_t, qt = _at(beat, peak_t), (end_t - onset) / hertz
    milliseconds = 1000 / hertz
    intervals = [
        (onset - onset_p) * milliseconds,
        (end - onset) * milliseconds,
        1000 * qt,
        1000 * qt / cycle ** (1 / 3),
    ]
    amplitudes = [highest, lowest, _at(beat, end + round(0.06 * hertz)), wave_t]
    return torch.cat([*intervals, _at(beat, peak_p)[:, 1:2], _axis(area), _axis(wave_t), *amplitudes], 1)


def _qrs(beat: Tensor, hertz: float) -> tuple[Tensor, Tensor]:
    """Onset and end (batch, 1): the stretch around R in which the spatial velocity stays above a twentieth of its highest.
    Pauses of up to 24 ms, at its turning points, do not end it."""
    peak, reach = round(BEFORE * hertz), round(0.15 * hertz)
    speed = torch.zeros_like(beat[:, 0])
    speed[:, 1:-1] = (beat[:, :, 2:] - beat[:, :, :-2]).square().sum(1).sqrt()
    around = speed[:, peak - reach : peak + reach + 1]
    pause = max(1, round(0.012 * hertz))
    fast = _highest_around((around > around.amax(1, keepdim=True) / 20).double(), pause)
    left = fast[:, : reach + 1].flip(1).cumprod(1).sum(1, keepdim=True)
    right = fast[:, reach:].cumprod(1).sum(1, keepdim=True)
    onset = peak - (left - 1 - pause).clamp(min=0)
    return onset.long(), (peak + (right - 1 - pause).clamp(min=0)).long()


def _t_wave(size: Tensor, time: Tensor, end: Tensor, cycle: Tensor, hertz: float) -> tuple[Tensor, Tensor]:
    """Peak and end (batch, 1) of T: the largest vector from 80 ms after QRS to 0.65 of a cycle after R; its end, where the
    vector has fallen most of the way to its lowest of the next 200 ms."""
    last = round(BEFORE * hertz) + (0.65 * cycle.nan_to_num(1.0) * hertz).clamp(max=AFTER * hertz)
    peak = size.where((time >= end + 0.08 * hertz) & (time <= last), -1.0).argmax(1, keepdim=True)
    after = (time >= peak) & (time <= peak + 0.2 * hertz)
    return peak, time.where(after & _nearly_flat(size, peak, after), time.shape[1] - 1).amin(1, keepdim=True)


def _p_wave(size: Tensor, time: Tensor, onset: Tensor, hertz: float) -> tuple[Tensor, Tensor]:
    """Peak and onset (batch, 1) of P: the largest vector from 240 to 40 ms before QRS; its onset, up to where the vector
    lies near its lowest of the 120 ms before."""
    inside = (time >= onset - 0.24 * hertz) & (time <= onset - 0.04 * hertz)
    peak = size.where(inside, -1.0).argmax(1, keepdim=True)
    before = (time <= peak) & (time >= peak - 0.12 * hertz)
    return peak, time.where(before & _nearly_flat(size, peak, before), 0).amax(1, keepdim=True)


def _nearly_flat(size: Tensor, peak: Tensor, where: Tensor) -> Tensor:
    """Where a wave has gone nine tenths of the way from its peak to the lowest point there."""
    lowest = size.where(where, torch.inf).amin(1, keepdim=True)
    return size <= lowest + (size.gather(1, peak) - lowest) / 10


def _axis(leads: Tensor) -> Tensor:
    """(batch, 12) -> cosine and sine of the frontal angle; aVF is an augmented lead, 2 / sqrt(3) stronger on I's scale."""
    x, y = leads[:, LEADS.index("I")], leads[:, LEADS.index("aVF")] * 2 / 3**0.5
    length = torch.hypot(x, y).clamp(min=1e-9)
    return torch.stack([x / length, y / length], 1)


def _at(beat: Tensor, sample: Tensor) -> Tensor:
    """(batch, leads, samples), (batch, 1) -> (batch, leads)."""
    place = sample.clamp(0, beat.shape[2] - 1)
    return beat.gather(2, place.unsqueeze(1).expand(-1, beat.shape[1], -1)).squeeze(2)


def _mean_where(beat: Tensor, where: Tensor) -> Tensor:
    return (beat * where.unsqueeze(1)).sum(2) / where.sum(1, keepdim=True).clamp(min=1)


def _band(signal: Tensor, hertz: float, low: float, high: float) -> Tensor:
    """What lies between two frequencies, the edges rising over 1 Hz."""
    samples = signal.shape[-1]
    frequency = torch.fft.rfftfreq(samples, 1 / hertz, device=signal.device, dtype=signal.dtype)
    gain = (frequency - low + 0.5).clamp(0, 1) * (high + 0.5 - frequency).clamp(0, 1)
    return torch.fft.irfft(torch.fft.rfft(signal) * gain, n=samples)


def _smooth(values: Tensor, hertz: float, seconds: float) -> Tensor:
    """Moving mean of (batch, samples) over about that time."""
    half = max(1, round(seconds * hertz / 2))
    return F.avg_pool1d(values.unsqueeze(1), 2 * half + 1, 1, half, count_include_pad=False).squeeze(1)


def _highest_around(values: Tensor, reach: int) -> Tensor:
    return F.max_pool1d(values.unsqueeze(1), 2 * reach + 1, 1, reach).squeeze(1)


def _in_windows(values: Tensor, length: int) -> Tensor:
    """The highest of each whole window of (batch, samples)."""
    return F.max_pool1d(values.unsqueeze(1), length).squeeze(1)
