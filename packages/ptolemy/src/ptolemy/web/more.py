"""What another package adds to the page: views of its own, behind the same door and in the same dress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Takes what the address says, and gives the template with its facts; it runs in a thread.
View = Callable[[Mapping[str, str]], tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class More:
    """Views that stand beside Ptolemy's own.

    Parameters
    ----------
    name
        What the page is called.
    first
        Where ``/`` leads.
    links
        Address and English word of each view in the head of the page, before Ptolemy's own.
    views
        What answers each address below ``/web``; it raises errors of Ptolemy.
    templates
        Folder of the templates that the views name, which may extend ``layout.html``.
    words
        Chinese for the English words of the templates.
    style
        CSS that follows the page's own.
    """

    name: str = "Ptolemy"
    first: str = "/web"
    links: tuple[tuple[str, str], ...] = ()
    views: Mapping[str, View] = field(default_factory=dict)
    templates: Path | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    style: str = ""


NOTHING = More()
