"""One file of any format -> `RawEcg`."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from ecgbench.ecg.formats.calibration import without_calibration
from ecgbench.ecg.formats.guard import allowance, check_size, limits
from ecgbench.ecg.formats.layout import PlainLayout
from ecgbench.ecg.formats.site_readers import ask_site_readers
from ecgbench.ecg.formats.sniff import HEAD, Kind, beside_header, header_text, signal_files, sniff
from ecgbench.ecg.recording import DamagedRecordError, RawEcg
from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_files

PLAIN = ("NPY", "NPZ", "Parquet", "text table")
LOWEST_RATE, HIGHEST_RATE = 20, 100_000
"""Hz. Resampling from rates beyond these costs more than a file may."""
_NOT_READ = (
    (b"\xffBIOSEMI", "a BDF file; export it as EDF"),
    (b"%PDF", "a PDF, a picture of an ECG; export the samples"),
    (b"MATLAB 5.0 MAT-file", "a MATLAB 5 file; save its samples as CSV or NPY"),
    (b"\x89HDF", "an HDF5 file; save its samples as CSV or NPY"),
    (b"ANN  1.0", "the annotations of an ISHNE record; its ECG is another file"),
    (b"\x1f\x8b", "compressed by gzip; unpack it"),
)

_NO_TABLES = {
    ".hea": "WFDB header", ".edf": "EDF file", ".dcm": "DICOM file", ".scp": "SCP-ECG file", ".mwf": "MFER file",
    ".ecg": "ISHNE file",
}  # fmt: skip
"""Of files that are named so nobody is asked for the rate and the unit, should they look like a table."""


def read_file(path: Path, layout: PlainLayout | None = None) -> RawEcg:
    """The ECG of one file, whose format is told from its content.

    `layout` says what tables of samples (CSV, TSV, NPY, NPZ, Parquet) do not say of themselves; other files take no
    notice of it. Leads are in mV, of one length, without NaN and without calibration pulses; limb leads that the file
    leaves out are not computed here. Readers that a site has added are asked first. DamagedRecordError with a reason
    free of folders and personal data where the file cannot be read, EcgbenchError where a table has no layout.
    """
    path = Path(path)
    size = check_size(path)
    try:
        with path.open("rb") as handle:
            head = handle.read(HEAD)
        raw = ask_site_readers(path, head, size)
        if raw is None:
            raw = _read(path, head, size, layout)
        if not LOWEST_RATE <= raw.rate <= HIGHEST_RATE:
            raise DamagedRecordError(
                f"it states {raw.rate:g} samples a second; {LOWEST_RATE} to {HIGHEST_RATE} are those of an ECG"
            )
        # Absurd voltages are for the checks of quality to name.
        with np.errstate(all="ignore"), limits(*allowance(size)):
            cut = without_calibration(raw.leads, raw.rate)
        remarks = (*raw.remarks, *cut.remarks())
        return replace(raw, leads=cut.leads, remarks=remarks, source_sha256=raw.source_sha256 or hash_files([path]))
    except OSError as error:
        raise DamagedRecordError(f"it cannot be read: {error.strerror or type(error).__name__}") from None


def _read(path: Path, head: bytes, size: int, layout: PlainLayout | None) -> RawEcg:
    kind = sniff(head, path)
    if kind is None:
        what = next((what for magic, what in _NOT_READ if head.startswith(magic)), None)
        raise DamagedRecordError(f"it is {what}" if what else "its content is of no format that is known here")
    if kind == "WFDB":
        return _wfdb(path)
    if kind == "DICOM":
        from ecgbench.ecg.formats.dicom import read_dicom

        return read_dicom(path, size)
    if kind in PLAIN:
        return _plain(path, kind, size, layout)
    from ecgbench.ecg.formats.clinical import read_clinical

    return read_clinical(path, kind, size)


def _wfdb(path: Path) -> RawEcg:
    from ecgbench.ecg.formats.wfdb_plain import read_plain as read_plain_wfdb

    header = path.with_suffix(".hea")
    if path != header and not beside_header(path):
        raise DamagedRecordError("a WFDB header, whose file is to be named NAME.hea")
    parts = [part for part in _parts(header) if part.is_file()]
    raw = read_plain_wfdb(str(header.with_suffix("")))
    if raw is None:
        import wfdb  # noqa: F401  imported before the limits: what an import costs is not the file's fault

        from ecgbench.ecg.formats.wfdb_file import read_wfdb

        with warnings.catch_warnings(), np.errstate(all="ignore"), limits(*allowance(sum(map(_size, parts)))):
            warnings.simplefilter("ignore")
            raw = read_wfdb(header.with_suffix(""))
    return replace(raw, source_sha256=hash_files(parts))


def _parts(header: Path) -> list[Path]:
    """The files of a WFDB record, those of its segments among them. DamagedRecordError for one that is elsewhere."""
    parts = [header]
    for name in signal_files(header_text(header)):
        parts.append(_beside(header, name))
        segment = _beside(header, f"{name}.hea")
        if segment != header and segment.is_file():
            parts += [segment, *(_beside(header, each) for each in signal_files(header_text(segment)))]
    return parts


def _beside(header: Path, name: str) -> Path:
    if name in (".", "..") or set(name) & set("/\\:"):
        raise DamagedRecordError("its header names a file that is not beside it")
    return header.with_name(name)


def _size(path: Path) -> int:
    return path.stat().st_size


def _plain(path: Path, kind: Kind, size: int, layout: PlainLayout | None) -> RawEcg:
    from ecgbench.ecg.formats.plain import read_plain

    if layout is None and path.suffix.lower() in _NO_TABLES:  # such as an EDF header without its samples
        raise DamagedRecordError(f"it is no {_NO_TABLES[path.suffix.lower()]} that can be understood")
    if layout is None:
        raise EcgbenchError(
            f"'{path.name}' is a table of samples, which does not say its rate, unit and lead order: give them "
            "(`--rate 500 --unit mV --leads I,II,III,aVR,aVL,aVF,V1,V2,V3,V4,V5,V6` on the command line)."
        )
    return read_plain(path, kind, size, layout)
