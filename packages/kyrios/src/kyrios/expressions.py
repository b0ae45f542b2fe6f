"""Conditions over parameters and tables, written in Python as comparisons."""

from __future__ import annotations

from kyrios.errors import BadInput


class Expression:
    """A condition over parameters and tables; it is put together with comparisons, ``&``, ``|`` and ``~``."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    def _compared(self, sign: str, other: object) -> Expression:
        right = str(other) if isinstance(other, Expression) else repr(other)
        return Expression(f"{self} {sign} {right}")

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return self._compared("==", other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return self._compared("!=", other)

    def __lt__(self, other: object) -> Expression:
        return self._compared("<", other)

    def __le__(self, other: object) -> Expression:
        return self._compared("<=", other)

    def __gt__(self, other: object) -> Expression:
        return self._compared(">", other)

    def __ge__(self, other: object) -> Expression:
        return self._compared(">=", other)

    def __and__(self, other: Expression) -> Expression:
        return Expression(f"({self}) and ({other})")

    def __or__(self, other: Expression) -> Expression:
        return Expression(f"({self}) or ({other})")

    def __invert__(self) -> Expression:
        return Expression(f"not ({self})")

    def __bool__(self) -> bool:
        raise BadInput("a condition is known when the flow runs, not before", hint="combine conditions with & | ~")

    __hash__ = None  # type: ignore[assignment]


class Column(Expression):
    """A column of an output: its first cell in a condition, its values where it is mapped over."""


class Parameter(Expression):
    """A parameter of a flow: a value for a unit, or part of a condition."""

    @property
    def reference(self) -> str:
        """The text that stands for it in a unit's parameters."""
        return f"${{{self}}}"


class Output:
    """A table that a unit gives; an attribute is a column of it."""

    def __init__(self, source: str) -> None:
        self._source = source

    def __str__(self) -> str:
        return self._source

    def __getattr__(self, name: str) -> Column:
        if name.startswith("_"):
            raise AttributeError(name)
        return Column(f"{self._source}.{name}")
