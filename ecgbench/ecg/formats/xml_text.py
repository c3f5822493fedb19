"""XML documents in the encodings of East Asia, which Python's XML parser refuses ("multi-byte encodings")."""

from __future__ import annotations

import codecs
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DECLARED = re.compile(rb"\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"'][^>]{0,200}\?>")
_MULTI_BYTE = frozenset({
    "shift_jis", "cp932", "shift_jis_2004", "shift_jisx0213", "euc_jp", "euc_jis_2004", "euc_jisx0213", "iso2022_jp",
    "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_2004", "iso2022_jp_3", "iso2022_jp_ext", "gb2312", "gbk", "gb18030", "hz",
    "big5", "big5hkscs", "cp950", "euc_kr", "cp949", "johab", "iso2022_kr",
})  # fmt: skip


@contextmanager
def in_known_encoding(path: Path) -> Iterator[Path]:
    """The document itself, or a copy of it in UTF-8 under a name that tells nothing."""
    with path.open("rb") as handle:
        declared = _DECLARED.match(handle.read(1024))
    encoding = _python_name(declared[1].decode()) if declared else ""
    if declared is None or encoding not in _MULTI_BYTE:
        yield path
        return
    text = path.read_bytes()[declared.end() :].decode(encoding, "replace")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "document.xml")
        copy.write_text(text, "utf-8")
        yield copy


def _python_name(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        return ""
