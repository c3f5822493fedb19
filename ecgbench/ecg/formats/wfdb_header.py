"""WFDB headers that the library refuses for what does not bear on the signal.

Headers of the PhysioNet/CinC challenges name the record with the signal file's ending (`E00271.mat 12 500 5000`) and
write dates as `12-May-2020`; a date is also a person's. The library is given the same header without them.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecgbench.ecg.formats.sniff import header_lines, header_text, is_wfdb_header, signal_files

_PLAIN_NAME = re.compile(r"[\w-]+(\.\w+)?", re.ASCII)


@contextmanager
def plainer_copy(record: Path) -> Iterator[Path | None]:
    """A record in a folder of its own whose header says the name, the number of signals, the rate and the length in its
    first line and nothing else there; its signal files are links. None where the header is no header, or is so already.
    """
    text = header_text(record.with_name(f"{record.name}.hea"))
    if not is_wfdb_header(text):
        yield None
        return
    first, *signals = header_lines(text)
    plainer = " ".join(["record", *first.split()[1:4]])
    files = signal_files(text)
    if not all(_PLAIN_NAME.fullmatch(name) for name in files):
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "record.hea").write_text("\n".join([plainer, *signals, ""]), "ascii", "ignore")
        for name in files:
            _link(record.with_name(name), Path(folder, name))
        yield Path(folder, "record")


def _link(file: Path, to: Path) -> None:
    if not file.is_file():
        return  # the library says that it is missing
    try:
        to.symlink_to(file.absolute())
    except OSError:  # where links need rights
        shutil.copyfile(file, to)
