"""An analyser that sees only the leads of an ECG, for checking what generated ECGs claim about themselves."""
