"""Every public name of a library with its signature and what it says of itself."""

from __future__ import annotations

import inspect
import re
from enum import Enum
from importlib import import_module

from scripts.reference.markdown import code, fence, table


def section(library: str) -> list[str]:
    """Return the section of the page of `library` that lists its public names."""
    module = import_module(library)
    lines = ["## Python", "", f"Everything here is imported from `{library}`; the exceptions are listed above.", ""]
    for name in module.__all__:
        value = getattr(module, name)
        if not hasattr(value, "exit_code"):
            lines += _name(library, name, value)
    return lines


def _name(library: str, name: str, value: object) -> list[str]:
    text = _documented(value)
    lines = [f"### `{library}.{name}`", ""]
    members = isinstance(value, type) and issubclass(value, Enum)
    protocol = bool(getattr(value, "_is_protocol", False))
    if callable(value) and not members and not protocol:
        lines += fence(f"{name}{_signature(value)}", "python")
    if text:
        summary, _, rest = text.partition("\n\n")
        lines += [" ".join(summary.split()), ""]
        if rest.strip():
            lines += fence(rest, "text")
    if isinstance(value, type) and issubclass(value, Enum):
        return [*lines, f"One of {', '.join(code(member.value) for member in value)}.", ""]
    if isinstance(value, type):
        lines += _members(value)
    return lines


def _members(value: type) -> list[str]:
    rows = []
    for name in sorted(n for n in vars(value) if not n.startswith("_")):
        member = inspect.getattr_static(value, name)
        if isinstance(member, property):
            rows.append((code(name), _first_line(member.fget)))
        elif isinstance(member, classmethod | staticmethod):
            rows.append((code(f"{name}{_signature(getattr(value, name))}"), _first_line(member.__func__)))
        elif inspect.isfunction(member):
            rows.append(
                (
                    code(f"{name}{_signature(member).replace('(self, ', '(').replace('(self)', '()')}"),
                    _first_line(member),
                )
            )
    return table(["member", "does"], rows) if rows else []


def _first_line(value: object) -> str:
    return (inspect.getdoc(value) or "").partition("\n\n")[0] or "-"


def _documented(value: object) -> str:
    # An instance's docstring is its type's, and says nothing of this name.
    return inspect.getdoc(value) or "" if callable(value) or inspect.ismodule(value) else ""


def _signature(value: object) -> str:
    try:
        signature = str(inspect.signature(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return "(...)"
    # An address would differ in each run.
    return re.sub(r"<(?:function|object) ([\w.]+).*?>", r"\1", signature).replace("'", "")
