"""Read YAML and remember where each key and value stands, so that every mistake names its line."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kyrios.errors import BadInput, Problem

Path_ = tuple[str | int, ...]
Mark = tuple[int, int]  # line and column, from 0

_DEEPEST = 40


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's own, which asks at each node what its text may mean; the answer for a word is always the same."""

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        """Do nothing: no tag depends on where a node stands."""

    def ascend_resolver(self) -> None:
        """Do nothing, as above."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """Return the tag of a node, see PyYAML."""
        if kind is not yaml.ScalarNode or not implicit[0]:
            return super().resolve(kind, value, implicit)
        tag = _tags.get(value)
        if tag is None:
            tag = super().resolve(kind, value, implicit)
            if len(_tags) < _MOST_TAGS:
                _tags[value] = tag
        return tag


_tags: dict[str, str] = {}
_MOST_TAGS = 10_000


@dataclass
class Document:
    """One YAML file: its value, and the place of every key and value in it."""

    file: str
    value: Any = None
    lines: list[str] = field(default_factory=list)
    keys: dict[Path_, Mark] = field(default_factory=dict)
    values: dict[Path_, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    digest: str = ""  #: Of its bytes, SHA-256 in hex.

    def problem(self, path: Iterable[str | int], message: str, *, hint: str | None = None, key: bool = False) -> None:
        """Note a mistake at `path`: at its key if `key`, else at its value, else at the nearest parent."""
        steps = tuple(path)
        first, second = (self.keys, self.values) if key else (self.values, self.keys)
        mark = first.get(steps, second.get(steps))
        while mark is None and steps:
            steps = steps[:-1]
            mark = self.keys.get(steps, self.values.get(steps))
        self._note(mark or (0, 0), message, hint)

    def _note(self, mark: Mark, message: str, hint: str | None = None) -> None:
        line, column = mark
        source = self.lines[line] if line < len(self.lines) else ""
        self.problems.append(Problem(self.file, line + 1, column + 1, message, source, hint))


def read_document(path: Path, name: str | None = None) -> Document:
    """Read the YAML file at `path`; mistakes in it are in ``problems`` of the answer, never raised.

    Parameters
    ----------
    name
        The name that messages give the file; None is `path` itself.
    """
    document = Document(name or str(path))
    try:
        data = path.read_bytes()
        document.digest = hashlib.sha256(data).hexdigest()
        text = data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except OSError as exc:
        raise BadInput(f"{path} cannot be read: {exc.strerror or exc}") from None
    except UnicodeDecodeError as exc:
        document.problems.append(Problem(document.file, 1, 1, f"this is not UTF-8 text: {exc.reason}"))
        return document
    document.lines = text.split("\n")
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            document._note((0, 0), "the file is empty")
        else:
            document.value = _convert(document, loader, node, (), 0)
            if document.value is None:
                document._note((0, 0), "the file is empty")
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = (mark.line, mark.column) if mark else (0, 0)
        document._note(place, f"YAML: {exc.problem or exc.context}")
    except (yaml.YAMLError, ValueError) as exc:
        document._note((0, 0), f"YAML: {' '.join(str(exc).split())}")
    finally:
        loader.dispose()
    return document


def _convert(document: Document, loader: Any, node: yaml.Node, path: Path_, depth: int) -> Any:
    # A small file whose aliases repeat one another would otherwise grow without end.
    if depth > _DEEPEST or len(document.values) > 200_000:
        raise ValueError("it is nested too deep, or its aliases repeat too much")
    mark = node.start_mark
    document.values.setdefault(path, (mark.line, mark.column))
    if node.tag == _TEXT and type(node) is yaml.ScalarNode:
        return node.value
    if isinstance(node, yaml.MappingNode):
        return _mapping(document, loader, node, path, depth)
    if isinstance(node, yaml.SequenceNode):
        return [_convert(document, loader, item, (*path, i), depth + 1) for i, item in enumerate(node.value)]
    return loader.construct_object(node)


_TEXT = "tag:yaml.org,2002:str"


def _mapping(document: Document, loader: Any, node: yaml.MappingNode, path: Path_, depth: int) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        start = key_node.start_mark
        mark = (start.line, start.column)
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        if key is None:
            document._note(mark, "a key must be a plain word")
        elif key in found:
            line = document.keys[(*path, key)][0] + 1
            document._note(mark, f"{key!r} stands here twice; first in line {line}")
        else:
            inner = (*path, key)
            document.keys[inner] = mark
            found[key] = _convert(document, loader, value_node, inner, depth + 1)
    return found


def shown(path: Path) -> str:
    """Return `path` as the user would write it: relative where it is below the working folder."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
