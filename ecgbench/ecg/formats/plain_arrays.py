"""NPY, NPZ and Parquet files; headers are held against the file's size before anything is unpacked."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from ecgbench.ecg.formats.guard import check_declared
from ecgbench.ecg.formats.leads import standard_lead
from ecgbench.ecg.formats.plain import Table
from ecgbench.ecg.recording import DamagedRecordError

MOST_MEMBERS = 64


def read_npy(path: Path, size: int) -> Table:
    """One array of numbers. DamagedRecordError where its header does not fit the file or it holds other things."""
    with path.open("rb") as handle:
        return Table(_array(handle, size))


def read_npz(path: Path, size: int) -> Table:
    """One array, or one array a lead under the lead's name."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if not 0 < len(members) <= MOST_MEMBERS:
            raise DamagedRecordError(f"its archive has {len(members)} members, 1 to {MOST_MEMBERS} are read")
        check_declared(sum(member.file_size for member in members) // 8, size)
        arrays = {}
        for member in members:
            if not member.filename.endswith(".npy"):
                raise DamagedRecordError("its archive holds something else than arrays")
            with archive.open(member) as handle:
                arrays[member.filename.removesuffix(".npy")] = _array(handle, member.file_size)
    if len(arrays) == 1 and not standard_lead(next(iter(arrays))):
        return Table(next(iter(arrays.values())))
    kept = {name: array for name, array in arrays.items() if array.ndim}  # a number beside the leads, such as the rate
    if any(array.ndim != 1 for array in kept.values()) or len({len(array) for array in kept.values()}) != 1:
        raise DamagedRecordError("its archive holds several arrays that are not one lead each, all of one length")
    return Table(np.stack(list(kept.values()), axis=1), tuple(kept))


def _array(handle: IO[bytes], size: int) -> np.ndarray:
    """The array of an NPY stream of `size` bytes, as float64."""
    version = np.lib.format.read_magic(handle)
    if version not in ((1, 0), (2, 0)):
        raise DamagedRecordError(f"NPY version {version[0]}.{version[1]} is not read")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, kind = read_header(handle)
    if kind.kind not in "iuf":
        raise DamagedRecordError("its array does not hold plain numbers")
    expected = math.prod(shape) * kind.itemsize
    if any(side < 0 for side in shape) or expected > size:
        raise DamagedRecordError(f"its header declares {expected} bytes of samples, the file has {size}")
    check_declared(math.prod(shape), size)
    data = handle.read(expected)
    if len(data) != expected:
        raise DamagedRecordError(f"its header declares {expected} bytes of samples, {len(data)} are there")
    return np.frombuffer(data, kind).reshape(shape, order="F" if by_columns else "C").astype(np.float64)


def read_parquet(path: Path, size: int) -> Table:
    """One column a lead."""
    import pyarrow
    import pyarrow.parquet as parquet

    with parquet.ParquetFile(path, memory_map=False) as file:
        rows, columns = file.metadata.num_rows, file.metadata.num_columns
        check_declared(rows * columns, size)
        for field in file.schema_arrow:
            if not (pyarrow.types.is_integer(field.type) or pyarrow.types.is_floating(field.type)):
                place = file.schema_arrow.names.index(field.name) + 1
                raise DamagedRecordError(f"column {place} does not hold plain numbers")
        table = file.read(use_threads=False)
    values = [column.to_numpy().astype(np.float64) for column in table.columns]
    if not values:
        raise DamagedRecordError("the file holds no samples")
    return Table(np.stack(values, axis=1), tuple(table.column_names))
