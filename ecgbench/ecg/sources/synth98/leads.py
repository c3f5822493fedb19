"""From the heart vector to the leads.

The eight independent leads follow from the vector by Dower's matrix, III and the augmented leads from I and
II by Einthoven's and Goldberger's identities. Whatever is added later is added at the nine electrodes.

Sources: Dower GE (1968) A lead synthesizer for the Frank system to simulate the standard 12-lead
electrocardiogram, J Electrocardiol 1:101; Dower GE, Machado HB, Osborne JA (1980) On deriving the
electrocardiogram from vectorcardiographic leads, Clin Cardiol 3:87; the same matrix in Edenbrandt L, Pahlm O
(1988) J Electrocardiol 21:361.
"""

from __future__ import annotations

import math

import numpy as np

INDEPENDENT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
"""The leads from which the other four follow, in the order of every 8-row array of this package."""

ELECTRODES = ("RA", "LA", "LL", "V1", "V2", "V3", "V4", "V5", "V6")

DOWER = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
"""(8, 3): `INDEPENDENT` leads from Frank's x (left), y (feet), z (back)."""

AT_ELECTRODES = np.array(
    [[-1, 1, 0], [-1, 0, 1], *[[-1 / 3] * 3] * 6],
)
AT_ELECTRODES = np.hstack([AT_ELECTRODES, np.vstack([np.zeros((2, 6)), np.eye(6)])])
"""(8, 9): `INDEPENDENT` leads from potentials at `ELECTRODES`; chest leads are against Wilson's terminal."""


def chest_turned(degrees: float) -> np.ndarray:
    """(8, 3): Dower's matrix with the heart turned about its long axis under the chest electrodes.

    Positive turns the transition zone to the left (clockwise, seen from the feet). The limb leads stay.
    """
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = DOWER.copy()
    x, z = DOWER[2:, 0], DOWER[2:, 2]
    matrix[2:, 0] = cosine * x + sine * z
    matrix[2:, 2] = cosine * z - sine * x
    return matrix


def twelve_leads(independent: np.ndarray) -> np.ndarray:
    """(8, n) -> (12, n) in the order of `ecgbench.ecg.recording.LEADS`: Einthoven 1913, Goldberger 1942."""
    one, two = independent[0], independent[1]
    leads = np.empty((12, independent.shape[1]), dtype=independent.dtype)
    leads[0], leads[1], leads[2] = one, two, two - one
    leads[3], leads[4], leads[5] = -(one + two) / 2, one - two / 2, two - one / 2
    leads[6:] = independent[2:]
    return leads
