"""A page as the tests read it: elements with their attributes, and tables as rows of text in one language."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "img"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    children: list[Element | str] = field(default_factory=list)

    def all(self, tag: str = "", **wanted: str) -> list[Element]:
        """Every element below of a tag with such attributes, in order; `css` for one of its classes."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                named = {**wanted}
                css = named.pop("css", None)
                fits = not tag or child.tag == tag
                fits = fits and all(child.attributes.get(name) == value for name, value in named.items())
                if fits and (css is None or css in (child.attributes.get("class") or "").split()):
                    found.append(child)
                found += child.all(tag, **wanted)
        return found

    def text(self, language: str = "en") -> str:
        """What a reader sees in a language."""
        other = {"en": "ja", "ja": "en"}[language]
        if self.tag == "svg" or other in (self.attributes.get("class") or "").split():
            return ""
        return "".join(each if isinstance(each, str) else each.text(language) for each in self.children)

    def cells(self, language: str = "en") -> list[list[str]]:
        """The rows of a table, the head among them."""
        return [
            [cell.text(language).strip() for cell in row.children if isinstance(cell, Element)]
            for row in self.all("tr")
        ]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        assert len(element.attributes) == len(attrs), f"an attribute of {tag} stands twice"
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(page: str) -> Element:
    """The whole page; AssertionError where elements are not nested or not closed."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == [reader.root], f"<{reader.open[-1].tag}> is not closed"
    return reader.root
