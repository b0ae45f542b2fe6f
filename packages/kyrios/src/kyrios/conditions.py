"""Conditions of branches, gates and loops: small expressions that are read, and never run as Python.

``params.mode == "fast"``, ``check.report.rows > 0 and not params.dry``: parameters of the flow, and the first cell of a
column of a table. A condition in a loop names its own outputs without the unit: ``state.error < 0.01``.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}


@dataclass(frozen=True)
class Condition:
    """A condition that was read.

    Parameters
    ----------
    test
        The expression, with a plain name for each thing it reads.
    params
        Name to the text that stands for a parameter, such as ``"${params.mode}"``.
    cells
        Name to ``unit.output.column``, or ``output.column`` in a loop.
    """

    test: str
    params: Mapping[str, str]
    cells: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return it as a graph keeps it."""
        return {"test": self.test, "params": dict(self.params), "cells": dict(self.cells)}


def read_condition(text: str, *, own: bool = False) -> Condition:
    """Read a condition.

    Parameters
    ----------
    own
        Whether it stands in a loop, where cells are ``output.column``.

    Raises
    ------
    ValueError
        In words that follow the name of the key, if it is none.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError) as exc:
        raise ValueError(f"is no condition: {getattr(exc, 'msg', exc)}") from None
    reader = _Reader(own)
    body = reader.visit(tree.body)
    return Condition(ast.unparse(body), reader.params, reader.cells)


class _Reader(ast.NodeTransformer):
    """Puts a plain name in the place of everything that is read, and refuses what is no condition."""

    def __init__(self, own: bool) -> None:
        self.own = own
        self.params: dict[str, str] = {}
        self.cells: dict[str, str] = {}

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        path = _path(node)
        if path[:1] == ["params"] and len(path) == 2:
            return self._name(self.params, f"${{params.{path[1]}}}", "p")
        if len(path) != (2 if self.own else 3):
            shape = "output.column" if self.own else "unit.output.column"
            raise ValueError(f"must read params.<name> or {shape}, not {ast.unparse(node)}")
        return self._name(self.cells, ".".join(path), "c")

    def _name(self, known: dict[str, str], value: str, letter: str) -> ast.AST:
        name = next((n for n, v in known.items() if v == value), f"{letter}{len(known)}")
        known[name] = value
        return ast.Name(name, ast.Load())

    def generic_visit(self, node: ast.AST) -> ast.AST:
        allowed = (
            ast.BoolOp, ast.UnaryOp, ast.Compare, ast.Constant, ast.List, ast.Tuple, ast.boolop, ast.cmpop,
            ast.expr_context, ast.Not, ast.USub,
        )  # fmt: skip
        if not isinstance(node, allowed) or isinstance(node, ast.Is | ast.IsNot):
            raise ValueError(f"may compare and combine values, but not hold {ast.unparse(node) or type(node).__name__}")
        return super().generic_visit(node)


def _path(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Attribute):
        before = _path(node.value)
        return [*before, node.attr] if before else []
    return [node.id] if isinstance(node, ast.Name) else []


def holds(test: str, values: Mapping[str, Any]) -> bool:
    """Tell whether `test` holds with `values` for its names; a comparison of unlike things does not."""
    return bool(_value(ast.parse(test, mode="eval").body, values))


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return values[node.id]
        case ast.List() | ast.Tuple():
            return [_value(item, values) for item in node.elts]
        case ast.BoolOp(op=ast.And()):
            return all(_value(item, values) for item in node.values)
        case ast.BoolOp():
            return any(_value(item, values) for item in node.values)
        case ast.UnaryOp(op=ast.Not()):
            return not _value(node.operand, values)
        case ast.UnaryOp():
            return -_value(node.operand, values)
        case ast.Compare():
            left = _value(node.left, values)
            for how, right_node in zip(node.ops, node.comparators, strict=True):
                right = _value(right_node, values)
                try:
                    if not _COMPARE[type(how)](left, right):
                        return False
                except TypeError:
                    return False
                left = right
            return True
    raise ValueError(f"{ast.unparse(node)} is no condition")
