"""Readers that a site adds: installed packages with an entry point, in a folder of the test."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ecgbench.ecg.formats.read import read_file
from ecgbench.ecg.formats.site_readers import site_readers
from ecgbench.ecg.recording import DamagedRecordError
from ecgbench.errors import EcgbenchError
from tests.conftest import ROOT
from tests.fuzz.made import made_files

Install = Callable[..., None]

HEAD = """
import numpy as np
from ecgbench.ecg.recording import DamagedRecordError, RawEcg
from ecgbench.errors import EcgbenchError
LEADS = {"I": np.sin(np.arange(3000.0)), "II": np.cos(np.arange(3000.0))}
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package: its module and the metadata that announce its reader."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    modules: list[str] = []

    def installed(module: str, source: str, reader: str = "read") -> None:
        modules.append(module)
        (folder / f"{module}.py").write_text(HEAD + textwrap.dedent(source), "utf-8")
        info = folder / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", "utf-8")
        (info / "entry_points.txt").write_text(f"[ecgbench.readers]\n{module} = {module}:{reader}\n", "utf-8")
        site_readers.cache_clear()

    yield installed
    site_readers.cache_clear()
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.own"
    path.write_bytes(b"OWN1 of a vendor")
    return path


def test_an_installed_reader_is_asked(install: Install, file: Path) -> None:
    install("own_one", "def read(path, head): return RawEcg(LEADS, 300, sex='male') if head[:4] == b'OWN1' else None")
    raw = read_file(file)
    np.testing.assert_array_equal(raw.leads["II"], np.cos(np.arange(3000.0)))
    assert (raw.rate, raw.sex, raw.format) == (300.0, "male", "own_one") and len(raw.source_sha256) == 64


def test_none_leaves_the_file_to_the_readers_here(install: Install, tmp_path: Path) -> None:
    install("own_none", "def read(path, head): return None")
    assert read_file(made_files("EDF")[0].write(tmp_path)).format == "EDF"


def test_a_sites_reader_comes_before_those_here(install: Install, tmp_path: Path) -> None:
    install("own_edf", "def read(path, head): return RawEcg(LEADS, 300, format='EDF of ours')")
    assert read_file(made_files("EDF")[0].write(tmp_path)).format == "EDF of ours"


def test_readers_are_asked_in_the_order_of_their_names(install: Install, file: Path) -> None:
    install("own_b", "def read(path, head): return RawEcg(LEADS, 300)")
    install("own_a", "def read(path, head): return RawEcg(LEADS, 300)")
    assert read_file(file).format == "own_a"


def test_calibration_pulses_are_left_out_of_its_ecg_too(install: Install, file: Path) -> None:
    install("own_pulses", """
        TRAIN = np.repeat([0.0, 1.0, 0.0, 1.0, 0.0], 100)
        def read(path, head):
            return RawEcg({lead: np.append(TRAIN, samples + 0.5) for lead, samples in LEADS.items()}, 500)
    """)  # fmt: skip
    raw = read_file(file)
    assert len(raw.leads["I"]) == 3000 and raw.remarks == ("1 s of calibration pulses at the start are left out",)


def test_a_package_that_does_not_import_is_named_to_the_user(install: Install, file: Path) -> None:
    install("own_broken", "import a_vendors_library_that_is_not_there")
    with pytest.raises(EcgbenchError, match=r"the reader 'own_broken' \(own_broken:read\) cannot be imported: No module"
                       r".*; mend or uninstall its package"):  # fmt: skip
        read_file(file)


def test_a_reader_that_is_not_in_its_module_is_named(install: Install, file: Path) -> None:
    install("own_missing", "", reader="nowhere")
    with pytest.raises(EcgbenchError, match=r"the reader 'own_missing'.*cannot be imported"):
        read_file(file)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("raise KeyError('YAMADA')", "the reader 'own_bad' failed with KeyError"),
        ("raise DamagedRecordError('its trailer is missing')", "its trailer is missing"),
        ("return 5", "'own_bad' gave a int in place of a RawEcg or None"),
        ("return {}", "'own_bad' gave a dict in place of a RawEcg or None"),
        ("return RawEcg(None, 500)", "'own_bad' broke its contract: standard leads of one length and a rate in Hz"),
        ("return RawEcg({}, 500)", "broke its contract"),
        ("return RawEcg({'MLII': LEADS['I']}, 500)", "broke its contract"),
        ("return RawEcg({'I': LEADS['I'], 'II': LEADS['II'][1:]}, 500)", "broke its contract"),
        ("return RawEcg({'I': LEADS['I'][None]}, 500)", "broke its contract"),
        ("return RawEcg({'I': 'text'}, 500)", "broke its contract"),
        ("return RawEcg(LEADS, 0)", "broke its contract"),
        ("return RawEcg(LEADS, None)", "broke its contract"),
        ("return RawEcg(LEADS, 1e9)", "1e\\+09 samples a second"),
    ],
)
def test_what_a_bad_reader_does_is_one_damaged_record(source: str, says: str, install: Install, file: Path) -> None:
    install("own_bad", f"def read(path, head):\n    {source}")
    with pytest.raises(DamagedRecordError, match=says) as caught:
        read_file(file)
    assert "YAMADA" not in str(caught.value) and file.name not in str(caught.value)


def test_the_example_of_the_documentation_works(install: Install, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "formats.md").read_text("utf-8")
    module, source = re.search(r"```python\n# (\w+)\.py\n(.*?)```", page, re.DOTALL).groups()  # type: ignore[union-attr]
    entry = re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1]  # type: ignore[index]
    assert '[project.entry-points."ecgbench.readers"]' in entry and f'"{module}:read"' in entry
    install(module, source)
    counts = np.arange(2 * 2500, dtype="<i2")
    (tmp_path / "x.acme").write_bytes(b"ACME" + (500).to_bytes(2, "little") + counts.tobytes())
    raw = read_file(tmp_path / "x.acme")
    np.testing.assert_allclose(raw.leads["II"], counts.reshape(-1, 2)[:, 1] * 0.005)
    assert raw.rate == 500 and set(raw.leads) == {"I", "II"}
    assert read_file(made_files("EDF")[0].write(tmp_path)).format == "EDF"
