"""Scopes of a token: names of interfaces, or patterns of them; with ``push:`` before, rows may be sent there.

``web`` opens the page of the centre.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from ptolemy.bars import PRO_BAR
from ptolemy.catalogue import interfaces
from ptolemy.errors import UnknownInterface

PUSH = "push:"
WEB = "web"  #: who may see the page of the centre, and act on it


def check_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return `scopes`; raise `UnknownInterface` if one fits nothing that can be asked for."""
    known = [*interfaces(), PRO_BAR, WEB]
    for scope in scopes:
        if not any(fnmatchcase(name, scope.removeprefix(PUSH)) for name in known):
            raise UnknownInterface(scope, known)
    return tuple(dict.fromkeys(scopes))
