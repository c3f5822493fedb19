"""A CSV file's bytes as text: UTF-8, cp932 and what Excel calls Unicode text."""

from __future__ import annotations

import codecs
import re

BAD = re.compile("[\udc80-\udcff]")
"""A byte that its encoding does not know, in text from `decode`: byte 0x85 stands there as the character U+DC85."""

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_NO_CP932 = re.compile("[\x80\uf8f0-\uf8f3]")
"""What Python makes of 0x80, 0xA0 and 0xFD to 0xFF, which cp932 leaves undefined."""

_BYTE_OF_CP932 = {"\x80": 0x80, "\uf8f0": 0xA0, "\uf8f1": 0xFD, "\uf8f2": 0xFE, "\uf8f3": 0xFF}


def decode(data: bytes) -> tuple[str, str]:
    """The text, every byte that does not fit marked as `BAD` says, and the name of the encoding.

    A byte-order mark decides. Without one the text is UTF-8 where all of it is, or most of what is not ASCII (then it
    is damaged UTF-8), else cp932. `BAD` characters in what is called UTF-16 stand for two bytes.
    """
    if data.startswith(codecs.BOM_UTF8):
        return data[3:].decode("utf-8", "surrogateescape"), "UTF-8"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _utf16(data), "UTF-16"
    text = data.decode("utf-8", "surrogateescape")
    bad = len(BAD.findall(text))
    if not bad or len(_BEYOND_ASCII.findall(text)) > 2 * bad:  # little of cp932 text is UTF-8 by chance
        return text, "UTF-8"
    return _cp932(data), "cp932"


def _cp932(data: bytes) -> str:
    text = data.decode("cp932", "surrogateescape")
    return _NO_CP932.sub(lambda found: chr(0xDC00 + _BYTE_OF_CP932[found[0]]), text)


def _utf16(data: bytes) -> str:
    try:
        return data.decode("utf-16")
    except UnicodeDecodeError:
        little = data.startswith(codecs.BOM_UTF16_LE)
        text = data[2:].decode(
            "utf-16-le" if little else "utf-16-be", "surrogatepass" if len(data) % 2 == 0 else "replace"
        )
        return re.sub("[\ud800-\udfff\ufffd]", "\udcff", text)
