"""Harmed files by number, read one by one in a process of their own.

    python -m tests.fuzz.cases KIND FIRST COUNT [FOLDER]
    python -m tests.fuzz.cases files FILE...

reads cases FIRST to FIRST + COUNT - 1 of a format (of each one where KIND is every) and prints one line of JSON for each
that fails and one with the totals. FOLDER: where the file of a case that fails is kept. Of files it prints a line each.
Every file is read by a forked child that may take `SECONDS` of processor time and `BYTES` of memory beyond what it starts
with; a child that is killed is a case that fails.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.ecg.formats.layout import PlainLayout
from ecgbench.ecg.formats.read import HIGHEST_RATE, LOWEST_RATE, PLAIN, read_file
from ecgbench.ecg.formats.sniff import Kind
from ecgbench.ecg.recording import LEADS, DamagedRecordError, RawEcg
from ecgbench.ecg.standardise import to_store
from ecgbench.errors import EcgbenchError
from tests.fuzz.made import KINDS, LAYOUT, Made, made_files
from tests.fuzz.made_signal import SECRETS
from tests.fuzz.mutations import mutate

SECONDS, BYTES = 2.0, 1 << 30
TABLES = (".csv", ".npy", ".npz", ".parquet")
"""Only of these the user is asked for a layout."""
REAL = Path(__file__).resolve().parents[3] / "shared" / "ecg" / "formats"
REAL_FILES: dict[str, tuple[str, ...]] = {
    "DICOM": ("scp_aecg_dicom_same_ecg/Example.dcm", "dicom/example-DICOM2.dcm", "dicom/waveform_ecg.dcm"),
    "HL7 aECG": ("scp_aecg_dicom_same_ecg/Example.xml",),
    "SCP-ECG": ("scp_aecg_dicom_same_ecg/Example.scp",),
    "MFER": ("mfer/sample.mwf",),
    "GE MUSE XML": ("ge_muse/guangxi_teaching_sinus_rhythm.xml",),
    "Philips Sierra XML": (
        "philips_sierra/3191723_ZZDEMOPTONLY_1-04_orig.xml", "philips_sierra/2020-5-18_15-48-11.xml",
        "philips_sierra/129DYPRG.XML",
    ),
    "ISHNE": ("ishne/ECG_P28.01.ecg",),
    "EDF": ("edf/A0001.edf",),
}  # fmt: skip


def bases(kind: Kind) -> list[Made]:
    """What is harmed: the made files, and real ones where they are at hand."""
    real = [REAL / name for name in REAL_FILES.get(kind, ()) if (REAL / name).is_file()]
    return [*made_files(kind), *(Made(path.name, {path.name: path.read_bytes()}) for path in real)]


def case(kind: Kind, number: int, known: list[Made]) -> Made:
    """The harmed file of that number."""
    rng = random.Random(f"{kind} {number}")
    base, other = rng.choice(known), rng.choice(known)
    harmed = rng.choice(list(base.files))
    return Made(base.name, base.files | {harmed: mutate(kind, base.files[harmed], other.files[other.name], rng)})


def run(kind: Kind, first: int, count: int, keep: Path | None = None) -> dict[str, Any]:
    """Read the cases; the totals. What fails is printed."""
    known = bases(kind)
    totals: dict[str, Any] = {"kind": kind, "cases": count, "failed": 0, "seconds": 0.0, "mebibytes": 0}
    for number in range(first, first + count):
        made = case(kind, number, known)
        with tempfile.TemporaryDirectory(prefix="folder-of-nobody-") as folder:
            path = made.write(Path(folder))
            told = _in_child(path, LAYOUT if kind in PLAIN else None)
            if keep is not None and told["what"] == "fails":
                shutil.copytree(folder, keep / f"{kind} {number}", dirs_exist_ok=True)
        totals[told["what"]] = totals.get(told["what"], 0) + 1
        for measured in ("seconds", "mebibytes"):
            totals[measured] = max(totals[measured], told.get(measured, 0))
        if told["what"] == "fails":
            totals["failed"] += 1
            print(json.dumps({"case": f"{kind} {number}", "base": made.name, **told}), flush=True)
    return totals


def _import_readers() -> None:
    """What an import costs is no file's fault."""
    import importlib

    from ecgbench.ecg.formats.clinical import PARSER, parser

    for name in ("pydicom", "pyarrow.parquet", "wfdb", "scipy.signal", "ecgbench.ecg.formats.dicom"):
        importlib.import_module(name)
    for kind in PARSER:
        parser(kind)


def _in_child(path: Path, layout: PlainLayout | None) -> dict[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            told = _read_within_limits(path, layout)
            os.write(writing, json.dumps(told).encode()[:60_000])
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if not said:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        name = signal.Signals(number).name if number else "no word"
        return {"what": "fails", "why": f"the process ended by {name}"}
    return dict(json.loads(said))


def _kilobytes(what: str) -> int:
    """A figure of this process that the kernel keeps, such as VmHWM, the most memory that it ever had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition(f"{what}:")[2].split()[0])


def _read_within_limits(path: Path, layout: PlainLayout | None) -> dict[str, Any]:
    resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(120)  # a process that waits for something spends no time of the processor
    most = (_kilobytes("VmSize") << 10) + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resident, started = _kilobytes("VmRSS"), time.process_time()
    try:
        raw = read_file(path, layout)
    except (DamagedRecordError, EcgbenchError) as error:
        told: dict[str, Any] = {"what": type(error).__name__}
        why = _fault_of_message(str(error), path, isinstance(error, EcgbenchError))
    except BaseException:
        return {"what": "fails", "why": traceback.format_exc()[-3000:]}
    else:
        told, why = {"what": "read"}, _fault_of(raw, path)
    told["seconds"] = round(time.process_time() - started, 3)
    told["mebibytes"] = (_kilobytes("VmHWM") - resident) >> 10
    if told["seconds"] > SECONDS:
        why = f"took {told['seconds']} s of processor time"
    return {**told, "what": "fails", "why": why} if why else told


def _fault_of_message(message: str, path: Path, asked: bool) -> str:
    if any(secret in message for secret in (*SECRETS, path.parent.name)):
        return f"the message tells too much: {message}"
    if len(message) > 400 or "\n" in message:
        return f"the message is no sentence: {message}"
    if asked and path.suffix not in TABLES:
        return f"it is the user that is blamed: {message}"
    return ""


def _fault_of(raw: RawEcg, path: Path) -> str:
    """What of the promise of `read_file` the recording breaks."""
    arrays = [np.asarray(samples) for samples in raw.leads.values()]
    if not arrays or not set(raw.leads) <= set(LEADS) or not LOWEST_RATE <= raw.rate <= HIGHEST_RATE:
        return f"leads {list(raw.leads)} at {raw.rate} Hz"
    if len({array.shape for array in arrays}) != 1 or arrays[0].ndim != 1 or not arrays[0].size:
        return f"leads of {[array.shape for array in arrays]}"
    if not all(np.isfinite(array).all() for array in arrays):
        return "samples that are no numbers"
    if raw.age is not None and not 0 <= raw.age < 1000:
        return f"age {raw.age}"
    try:
        to_store(raw.leads, raw.rate)
    except DamagedRecordError:
        pass
    except BaseException:
        return traceback.format_exc()[-3000:]
    return _fault_of_message(" ".join((raw.format, raw.sex or "", *raw.remarks))[:400], path, False)


def main(arguments: list[str]) -> None:
    _import_readers()
    if arguments[0] == "files":
        for name in arguments[1:]:
            path = Path(name)
            layout = LAYOUT if path.suffix in TABLES else None
            print(json.dumps({"file": path.name, **_in_child(path, layout)}), flush=True)
        return
    first, count = int(arguments[1]), int(arguments[2])
    keep = Path(arguments[3]) if len(arguments) > 3 else None
    for kind in KINDS:
        if arguments[0] in (kind, "every"):
            print(json.dumps(run(kind, first, count, keep)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
