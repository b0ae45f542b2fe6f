"""Define, set, compare and roll back parameters."""

from __future__ import annotations

import getpass
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, cast

from exia._house.backends import open_backend
from exia._house.config import load_config
from exia._house.errors import nearest
from exia._house.ids import uuid7
from exia.errors import BadInput, ParamsChanged, ParamsNotFound
from exia.params.port import Head, ParamStore, checked_name, verified
from exia.params.schema import Schema
from exia.params.version import Change, ParamsVersion
from exia.settings import SETTINGS

_TRIES = 50


def open_params(url: str | None = None) -> Params:
    """Open the parameters at `url`, or as configured: ``EXIA_PARAMS``, ``jiyuan.toml``, ``file://``.

    Raises
    ------
    UnknownBackend
        If no store has this URL scheme.
    MissingExtra
        If its driver is not installed.
    """
    return Params(cast(ParamStore, open_backend("params", load_config(SETTINGS, {"params": url}).text("params"))))


class Params:
    """Parameters by name; each change makes a new version, and the newest is in force.

    Keys that are set together change together or not at all. Two who set at the same time lose
    nothing: the second is applied to what the first has left, or refused if it said `expect`.
    """

    def __init__(self, store: ParamStore) -> None:
        self.store = store

    def define(
        self, name: str, schema: Any, values: Mapping[str, Any] | None = None, *, why: str = "", who: str | None = None
    ) -> ParamsVersion:
        """Say what the parameters of `name` may be; the values so far, if there are any, must fit.

        Parameters
        ----------
        schema
            A pydantic model, a JSON Schema, a class whose constructor says it, or a ref such as
            ``momentum@1.2.0``.
        values
            Values that have no default, and those that shall differ from it.

        Raises
        ------
        InvalidParams
            If a value breaks the schema; nothing was written.
        """
        checked_name(name)
        made = Schema.of(schema)

        def change(now: ParamsVersion | None) -> tuple[dict[str, Any], Schema]:
            return {**(now.values if now else {}), **(values or {})}, made

        return self._publish(name, change, why or "define", who)

    def set(
        self,
        name: str,
        values: Mapping[str, Any],
        *,
        why: str = "",
        who: str | None = None,
        expect: int | None = None,
        replace: bool = False,
    ) -> ParamsVersion:
        """Set `values`, all or none; the others stay.

        Parameters
        ----------
        expect
            The version that is in force, as far as the caller knows; another one is a conflict.
        replace
            Whether what `values` does not name goes back to its default.

        Raises
        ------
        ParamsNotFound
            If nothing is defined under `name`.
        InvalidParams
            If a value breaks its rule; nothing was written.
        ParamsChanged
            If `expect` is not the version in force.
        """

        def change(now: ParamsVersion | None) -> tuple[dict[str, Any], Schema]:
            if now is None:
                raise self._unknown(name)
            if expect is not None and now.version != expect:
                raise ParamsChanged(
                    f"parameters {name!r} are at version {now.version}, not {expect}: somebody changed them first",
                    hint=f"exia params diff {name} {expect} {now.version}",
                )
            return {**({} if replace else now.values), **values}, Schema(now.schema)

        return self._publish(name, change, why, who)

    def get(self, name: str, version: int | None = None) -> ParamsVersion:
        """Return the version in force, or the one of this number; raise `ParamsNotFound`."""
        head = self.store.head(checked_name(name))
        if head is None:
            raise self._unknown(name)
        if version is None:
            return self.at(name, head)
        if not 1 <= version <= head.version:
            raise ParamsNotFound(
                f"there is no version {version} of parameters {name!r}; there are 1 to {head.version}",
                hint=f"exia params history {name}",
            )
        return ParamsVersion.parse(self.store.body(name, version))

    def at(self, name: str, head: Head) -> ParamsVersion:
        """Return the version that `head` names; raise `Damaged` if its bytes are others."""
        body = verified(self.store.body(name, head.version), head, f"version {head.version} of {name}")
        return ParamsVersion.parse(body)

    def history(self, name: str, limit: int | None = None) -> list[ParamsVersion]:
        """Return the versions of `name`, newest first."""
        newest = self.get(name).version
        last = 0 if limit is None else max(0, newest - limit)
        return [self.get(name, number) for number in range(newest, last, -1)]

    def diff(self, name: str, one: int | None = None, other: int | None = None) -> list[Change]:
        """Return the keys in which two versions differ: by default the one in force and the one before."""
        b = self.get(name, other)
        a = self.get(name, one if one is not None else max(1, b.version - 1))
        keys = sorted(a.values.keys() | b.values.keys())
        return [Change(k, a.values.get(k), b.values.get(k)) for k in keys if a.values.get(k) != b.values.get(k)]

    def rollback(
        self, name: str, version: int | None = None, *, why: str = "", who: str | None = None
    ) -> ParamsVersion:
        """Put the values and the schema of an old version in force again, as a new version.

        Parameters
        ----------
        version
            The old version; the one before that in force by default.
        """
        number = self.get(name).version - 1 if version is None else version
        if number < 1:
            raise ParamsNotFound(f"parameters {name!r} have no earlier version", hint=f"exia params history {name}")
        old = self.get(name, number)
        return self._publish(
            name, lambda _: (dict(old.values), Schema(old.schema)), why or f"rollback to version {number}", who
        )

    def names(self) -> list[str]:
        """Return the names that are defined, sorted."""
        return self.store.names()

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _publish(self, name: str, change: Any, why: str, who: str | None) -> ParamsVersion:
        """Apply `change` to the version in force, and again if another was faster."""
        identity = uuid7()
        for attempt in range(_TRIES):
            head = self.store.head(name)
            now = None if head is None else self.at(name, head)
            values, schema = change(now)
            made = ParamsVersion(
                name=name,
                version=(head.version if head else 0) + 1,
                values=schema.checked(_plain(values), name),
                schema=schema.document,
                at=datetime.now(UTC).isoformat(timespec="microseconds"),
                who=who or _who(),
                why=why,
                id=identity,
                parent=head.digest if head else "",
            )
            try:
                self.store.publish(name, made.version, made.body())
            except ParamsChanged:
                if attempt == _TRIES - 1:
                    raise
                continue
            return made
        raise AssertionError("not reached")

    def _unknown(self, name: str) -> ParamsNotFound:
        return ParamsNotFound(
            f"there are no parameters {name!r}",
            hint=nearest(name, self.names()) or f"exia params define {name} python:MODULE:CLASS",
        )


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    if any(not isinstance(key, str) for key in values):
        raise BadInput("the name of a parameter is text", hint="set(name, {'window': 20})")
    return dict(values)


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{platform.node()}"
