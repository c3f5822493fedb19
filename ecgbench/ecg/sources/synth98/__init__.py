"""The built-in synthetic data set: a small hospital whose ECGs mean what their labels say.

What a finding means stands in `criteria.yaml`, what a beat looks like in `waves.yaml`; the code is mechanism:
`hospital` (who has what) -> `plan` (numbers of one record) -> `rhythm` (when) and `beat` (what shape) -> `leads`
(8 independent leads -> 12) with `noise` at the electrodes.
"""

from ecgbench.ecg.sources.synth98.source import Synth98

__all__ = ["Synth98"]
