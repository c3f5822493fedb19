"""The built-in synthetic data set: a small hospital whose ECGs mean what their labels say.

What a finding means stands in `criteria.yaml`, which findings keep company in `affinity.yaml`, what a beat looks like
in `waves.yaml`; the code is mechanism. In the order in which data flows: `request` (what is asked for), `prevalence`
(how many records carry a finding), `hospital` (who has what), `patients` (whose records they are), `plan` (the numbers
of one record), `rhythm` (when each event happens), `ventricle`, `repolarisation` and `atria` (what it looks like),
`wave` (laid over ten seconds), `noise` (at the electrodes), `leads` (8 independent leads to 12).
"""

from ecgbench.ecg.sources.synth98.source import Synth98

__all__ = ["Synth98"]
