"""What a unit used besides its inputs: packages and data sets, for the lineage of its run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from kyrios.errors import BadInput, KyriosError


@dataclass
class Used:
    """What the running unit has said so far."""

    packages: list[dict[str, Any]] = field(default_factory=list)
    datasets: list[dict[str, Any]] = field(default_factory=list)


_used: ContextVar[Used] = ContextVar("kyrios_used")


def uses_package(*, ref: str, name: str, version: str, digest: str) -> None:
    """Say, inside a running unit, that it uses an algorithm package.

    Parameters
    ----------
    ref
        How it was asked for, such as ``"momentum@~=1.2"``.
    name, version
        What was found.
    digest
        ``sha256:`` and the digest of its content.

    Raises
    ------
    KyriosError
        If no unit is running.
    """
    found = {"ref": ref, "name": name, "version": version, "digest": digest}
    _texts("uses_package", found)
    _here("uses_package").packages.append(found)


def uses_dataset(
    *,
    name: str,
    version: str,
    rows: int | None = None,
    first: str | None = None,
    last: str | None = None,
    digest: str | None = None,
) -> None:
    """Say, inside a running unit, that it reads a data set.

    Parameters
    ----------
    name, version
        Which data set, and which state of it.
    rows
        How many rows were read.
    first, last
        The first and the last row's key, such as the trade dates, both included.
    digest
        Of the content of this version, where the store has one.

    Raises
    ------
    KyriosError
        If no unit is running.
    """
    _texts("uses_dataset", {"name": name, "version": version})
    if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 0):
        raise BadInput(f"uses_dataset: rows must be a whole number, not {rows!r}")
    told = {k: v for k, v in (("first", first), ("last", last), ("digest", digest)) if v is not None}
    _texts("uses_dataset", told)
    found: dict[str, Any] = {"name": name, "version": version, "rows": rows, "first": first, "last": last}
    if digest is not None:
        found["digest"] = digest
    _here("uses_dataset").datasets.append(found)


@contextmanager
def noting_uses() -> Iterator[Used]:
    """Collect what the code inside says that it uses."""
    used = Used()
    token = _used.set(used)
    try:
        yield used
    finally:
        _used.reset(token)


def _here(function: str) -> Used:
    try:
        return _used.get()
    except LookupError:
        raise KyriosError(
            f"kyrios.{function} was called outside a running unit", hint="call it in the function of a unit"
        ) from None


def _texts(function: str, values: dict[str, str]) -> None:
    for key, value in values.items():
        if not isinstance(value, str):
            raise BadInput(f"{function}: {key} must be a text, not {value!r}")
