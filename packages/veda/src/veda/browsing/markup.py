"""HTML from text: everything is escaped unless this module made it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import Any

_VOID = frozenset({"input", "link", "meta"})
_ELSEWHERE = re.compile(r"https?://|mailto:", re.IGNORECASE)


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """Return an element; a child that is no `Html` is escaped, and so is each attribute (``class_`` is ``class``)."""
    shown = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Html(f"<{name}{shown}>" if name in _VOID else f"<{name}{shown}>{joined(children)}</{name}>")


def joined(children: Iterable[object]) -> Html:
    """Return the children one after the other; None is nothing."""
    return Html("".join(c if isinstance(c, Html) else escape(str(c)) for c in children if c is not None))


def sentence(text: object) -> Html:
    """Return a line of a docstring; what stands between backticks is code."""
    parts = re.split(r"(`+)(.+?)\1", str(text or ""))
    return joined(part if n % 3 == 0 else tag("code", part) for n, part in enumerate(parts) if n % 3 != 1)


def markdown(text: str) -> Html:
    """Return Markdown as HTML: no HTML of its own, no pictures, links to the web alone; headings one level lower."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = parser.parse(text)
    for token in tokens:
        token.attrs.pop("style", None)  # the alignment of a table's column, which the pages' policy forbids
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
        if token.children:
            token.children = _without_dead_links(token.children)
    return Html(parser.renderer.render(tokens, parser.options, {}))


def _without_dead_links(tokens: list[Any]) -> list[Any]:
    """Leave out links into a folder that the reader does not have; their text stays."""
    kept, inside = [], []
    for token in tokens:
        if token.type == "link_open":
            inside.append(bool(_ELSEWHERE.match(str(token.attrs.get("href", "")))))
            token.attrs["rel"] = "noreferrer"
            if not inside[-1]:
                continue
        elif token.type == "link_close" and not inside.pop():
            continue
        kept.append(token)
    return kept
