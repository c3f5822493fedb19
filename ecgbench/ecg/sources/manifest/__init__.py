"""A hospital's own list of recordings, as Excel saves it: `manifest:FILE.csv`.

In the order in which data flows: `ecgbench.csv_decoding` (bytes to text), `ecgbench.csv_table` (text to rows), `columns`
(what each column means), `cells` (what a cell means), `vocabulary` (wordings that mean a label), `findings` (a cell to wordings),
`aliases` (the hospital's own wordings), `nearest` (the label that an unknown wording may stand for), `unknown` (what is
said of those), `source` (all of it as a source of entries).
"""
