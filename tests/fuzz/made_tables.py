"""WFDB records and plain tables."""

from __future__ import annotations

import io

import numpy as np

from tests.fuzz.made_signal import FAMILY, IDENTIFIER, RATE

Leads = dict[str, np.ndarray]


def wfdb_header(leads: Leads, file: str, *, date: str = "12-May-2020 12:33:59", signal_format: str = "16") -> bytes:
    """A header as the challenges write it, of 200 counts a mV: counts of 5 µV."""
    samples = len(next(iter(leads.values())))
    lines = [f"{file.partition('.')[0]} {len(leads)} {RATE} {samples} {date}".rstrip()]
    for name, values in leads.items():
        checksum = int(np.asarray(values, np.int64).sum().astype(np.int16))
        lines.append(f"{file} {signal_format} 200/mV 16 0 {values[0]} {checksum} 0 {name}")
    lines += ["#Age: 67", "#Sex: Female", f"#Name: {FAMILY}", f"#Id: {IDENTIFIER}", ""]
    return "\n".join(lines).encode()


def wfdb_samples(leads: Leads) -> bytes:
    return np.stack(list(leads.values()), axis=1).astype("<i2").tobytes()


def wfdb_samples_212(leads: Leads) -> bytes:
    """Format 212: two 12-bit samples in three bytes."""
    values = np.stack(list(leads.values()), axis=1).astype(np.int64).ravel() & 0xFFF
    first, second = values[::2], values[1::2]
    packed = np.stack([first & 0xFF, first >> 8 | second >> 8 << 4, second & 0xFF], axis=1)
    return packed.astype(np.uint8).tobytes()


def table(leads: Leads) -> np.ndarray:
    return np.stack(list(leads.values()), axis=1)


def text(leads: Leads, separator: str = ",", heading: bool = True) -> bytes:
    rows = [separator.join(leads)] if heading else []
    rows += [separator.join(map(str, row)) for row in table(leads).tolist()]
    return "\n".join([*rows, ""]).encode()


def npy(leads: Leads) -> bytes:
    written = io.BytesIO()
    np.save(written, table(leads), allow_pickle=False)
    return written.getvalue()


def npz(leads: Leads) -> bytes:
    written = io.BytesIO()
    np.savez_compressed(written, **{name: np.asarray(values) for name, values in leads.items()})
    return written.getvalue()


def parquet(leads: Leads) -> bytes:
    import pyarrow
    import pyarrow.parquet

    written = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({name: np.asarray(values) for name, values in leads.items()}), written)
    return written.getvalue()
