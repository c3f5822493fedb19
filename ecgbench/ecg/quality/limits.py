"""The limits of the quality checks, each with its reason. Voltages in µV (one count of a store), times in samples at
500 Hz. "Real records" are 495 distinct PTB-XL records and 77 of the PhysioNet/CinC Challenge 2021; docs/quality.md
has what was measured on them."""

BLOCK = 125
"""A quarter of a second: short enough that a pause between beats spans several, long enough to tell a stuck channel from
a held sample."""

BLOCKS_A_SECOND = 4

SMALL_RECORD = 50
"""A record whose largest lead stays under this in a typical second cannot be in the unit it claims: a QRS under 0.5 mV in
every limb lead is "low voltage" already, and the smallest of the real records reaches 946 in its largest lead. Millivolts
stored as microvolts leave 1 to 8."""

LARGE_BLOCK = 5000
"""In half of the leads or more, in a typical quarter second. Quarter seconds without a QRS are the typical ones, so
pacemaker spikes (19 mV in a real record) do not count; the largest of the real records has 2002, a hundred times the
smallest 5950."""

CLIPPED_SHARE = 0.1
"""Of the samples of half of the leads or more, at the store's limit. Of a real record times 1000 at least 0.43 are."""

SCALE_LOW, SCALE_HIGH = 700, 7000
"""What the median of a store's records may have in its largest lead. The real sets have 2340 and 2600; one record may lie
outside, the middle of a store of people does not. Times or over 4.88 (a digital step taken for 1 µV) it does."""

SCALE_RECORDS = 20
"""Fewer records say nothing of the middle."""

FLAT_LEAD = 30
"""A lead that moves less in a typical second holds no QRS that could be read: 0.3 mm on paper. The flattest live lead of
the real records has 151."""

FLAT_BLOCK = 5
"""A stuck channel moves by its own last digit at most: 5 µV is the coarsest digital step that IEC 60601-2-25 allows."""

FLAT_BLOCKS = 4
"""A second without a movement above `FLAT_BLOCK`. The longest hold in the real records is 0.3 s."""

SATURATED_RUN = 5
"""Samples in a row at a lead's very extreme (10 ms) make a plateau. A peak that is not cut off has 1 to 4."""

SATURATED_SAMPLES = 25
"""Samples in plateaus, 50 ms in all: five cut-off R waves of 10 ms."""

SATURATED_BLOCKS = 3
"""Quarter seconds with a plateau at the same extreme. The converter's limit is met again and again; a recording whose last
0.1 s is a held sample (all of PTB-XL's are) meets its own once."""

SATURATED_EXCURSION = 300
"""The extreme's distance from the lead's median: a small lead of coarse steps comes to its highest step many times."""

EINTHOVEN = 20
"""The most that rounding can break an identity by: three leads, each to a digital step of 10 µV (half a step each way is
15), and to the store's 1 µV. The real records keep within 3.5, but for one with a real fault."""

P_OR_T_WAVE = 20
"""A smaller P or T wave of the averaged beat points nowhere."""

MIRRORED = -0.3
"""Correlation of the P wave, of the QRS complex and of the ST-T of lead I with those of V6 (V5): all below this. The two
leads look alike in these (Kligfield et al. 2007)."""

INFORMATIVE_CHANGES = 250
"""Changes from sample to sample under which a lead is too poor to know a recording again by. The poorest live lead of the
real records has 1232."""
