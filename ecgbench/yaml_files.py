"""A YAML file as a mapping, read by the safe loader, strictly: a key stands once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ecgbench.errors import EcgbenchError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file whose top level is a mapping, read by the safe loader; a key that stands twice is an error."""
    try:
        loader = _LOADER(path.read_text(encoding="utf-8"))
        try:
            tree = loader.get_single_node()
            twice = _doubled_key(tree)
            data = None if tree is None or twice else loader.construct_document(tree)
        finally:
            loader.dispose()
    except OSError as error:
        raise EcgbenchError(f"{path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date that is none
        detail = " ".join(str(error).split())
        raise EcgbenchError(f"{path} is not readable as YAML: {detail}") from None
    if twice:
        line = twice.start_mark.line + 1
        raise EcgbenchError(f"{path}, line {line}: the key '{twice.value}' stands there a second time: keep one.")
    if not isinstance(data, dict):
        raise EcgbenchError(f"{path} holds no card: a YAML mapping is expected at the top level.")
    return data


def _doubled_key(tree: yaml.Node | None) -> yaml.ScalarNode | None:
    """The first key that stands twice in one mapping (YAML forbids it, the loader would silently keep the last)."""
    waiting, visited = [tree], set()
    while waiting:
        node = waiting.pop()
        if node in visited or not isinstance(node, yaml.CollectionNode):
            continue
        visited.add(node)  # an alias may lead back to where it stands
        if isinstance(node, yaml.SequenceNode):
            waiting += reversed(node.value)
            continue
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    return key
                seen.add((key.tag, key.value))
        waiting += [value for _, value in reversed(node.value)]
    return None
