"""What an entry point offers, read from its source by ``ast``: nothing is imported and no code runs."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any

from veda.errors import BadInput

Source = Callable[[str], bytes | None]  #: Gives the bytes of a path below the source root, or None.
_Definition = ast.ClassDef | ast.FunctionDef
_TYPES = {"int": "integer", "float": "number", "str": "string", "bool": "boolean", "list": "array", "dict": "object"}


def describe(name: str, target: str, source: Source) -> dict[str, Any]:
    """Describe the entry point `name`, whose class or factory `target` names as ``module:Class``.

    Returns
    -------
    dict
        ``name``, ``target``, ``summary`` (first line of the docstring), ``parameters`` (a JSON
        Schema of what its constructor takes) and ``methods`` (each public method to its
        ``signature``, as it is called, and ``summary``).

    Raises
    ------
    BadInput
        If the module or the name in it does not exist, or the source cannot be parsed.
    """
    module, _, attribute = target.partition(":")
    found, tree = _find(module, attribute, source, frozenset())
    if found is None:
        raise BadInput(
            f"entry point {name} names {target}, but {module} defines no class or function {attribute!r}",
            hint="mend [entry-points] in veda.toml",
        )
    methods: dict[str, Any] = {}
    constructor: ast.FunctionDef | None = found if isinstance(found, ast.FunctionDef) else None
    fields: list[ast.AnnAssign] = []
    if isinstance(found, ast.ClassDef):
        for owner in reversed(list(_lineage(found, tree))):
            fields += [n for n in owner.body if isinstance(n, ast.AnnAssign)] if _is_dataclass(owner) else []
            for node in (n for n in owner.body if isinstance(n, ast.FunctionDef)):
                if node.name == "__init__":
                    constructor = node
                elif not node.name.startswith("_") and not _is_property(node):
                    methods[node.name] = {"signature": _signature(node, bound=True), "summary": _summary(node)}
        if "package" in methods or any(_assigns(n, "package") for n in found.body):
            raise BadInput(f"{target} has a member named 'package', where Veda puts its own", hint="rename it")
    parameters = _parameters(constructor, isinstance(found, ast.ClassDef)) if constructor else _fields(fields)
    return {
        "name": name,
        "target": target,
        "summary": _summary(found),
        "parameters": parameters,
        "methods": dict(sorted(methods.items())),
    }


def module_paths(module: str) -> tuple[str, str]:
    """Return the two paths where a module's source may be, below the source root."""
    path = module.replace(".", "/")
    return f"{path}/__init__.py", f"{path}.py"


def _find(
    module: str, attribute: str, source: Source, seen: frozenset[str]
) -> tuple[_Definition | None, ast.Module | None]:
    package, plain = module_paths(module)
    path = package if source(package) is not None else plain
    data = source(path)
    if data is None or module in seen:
        return None, None
    try:
        tree = ast.parse(data, path)
    except (SyntaxError, ValueError, RecursionError) as exc:
        raise BadInput(f"{path} is not Python: {exc}") from None
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == attribute:
            return node, tree
        if isinstance(node, ast.ImportFrom):  # a package often gives a class of one of its modules
            for alias in node.names:
                if (alias.asname or alias.name) == attribute:
                    base = _absolute(module, path == package, node)
                    return _find(base, alias.name, source, seen | {module})
    return None, None


def _absolute(module: str, is_package: bool, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + (1 if is_package else 0)]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _lineage(node: ast.ClassDef, tree: ast.Module | None) -> Iterator[ast.ClassDef]:
    """Give the class and those of its bases that the same module defines."""
    known = {n.name: n for n in (tree.body if tree else []) if isinstance(n, ast.ClassDef)}
    queue, seen = [node], set[str]()
    while queue:
        current = queue.pop(0)
        if current.name in seen:
            continue
        seen.add(current.name)
        yield current
        queue += [known[b.id] for b in current.bases if isinstance(b, ast.Name) and b.id in known]


def _signature(node: ast.FunctionDef, *, bound: bool) -> str:
    """Return the signature as callers meet it: without the argument that Python fills in itself."""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    static = any(ast.unparse(d).rpartition(".")[2] == "staticmethod" for d in node.decorator_list)
    first = [*node.args.posonlyargs, *node.args.args][:1]
    if bound and not static and first:
        args = ast.arguments(**dict(ast.iter_fields(node.args)))
        if args.posonlyargs:
            args.posonlyargs = args.posonlyargs[1:]
        else:
            args.args = args.args[1:]
        # The defaults are those of the last arguments; a default of `self` would be one too many.
        args.defaults = args.defaults[max(0, len(args.defaults) - len(args.posonlyargs) - len(args.args)) :]
        return f"({ast.unparse(args)}){returns}"
    return f"({ast.unparse(node.args)}){returns}"


def _summary(node: _Definition) -> str:
    text = (ast.get_docstring(node) or "").strip().partition("\n")[0].strip()
    return "".join(c for c in text if c.isprintable())


def _parameters(node: ast.FunctionDef, bound: bool) -> dict[str, Any]:
    args = node.args
    plain = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(args.defaults)) + list(args.defaults)
    pairs = list(zip(plain, defaults, strict=True))[1 if bound else 0 :]
    pairs += list(zip(args.kwonlyargs, args.kw_defaults, strict=True))
    return _schema([(a.arg, a.annotation, d) for a, d in pairs], open_ended=args.kwarg is not None)


def _fields(nodes: list[ast.AnnAssign]) -> dict[str, Any]:
    return _schema([(n.target.id, n.annotation, n.value) for n in nodes if isinstance(n.target, ast.Name)], False)


def _schema(parameters: list[tuple[str, ast.expr | None, ast.expr | None]], open_ended: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for name, annotation, default in parameters:
        properties[name] = _property(annotation, default)
    required = [name for name, _, default in parameters if default is None]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": open_ended,
    }


def _property(annotation: ast.expr | None, default: ast.expr | None) -> dict[str, Any]:
    shown = ast.unparse(annotation) if annotation else ""
    entry: dict[str, Any] = {"annotation": shown} if shown else {}
    kinds = [k.strip() for k in shown.split("|")]
    if shown and all(k in _TYPES or k == "None" for k in kinds):
        names = [_TYPES.get(k, "null") for k in kinds]
        entry["type"] = names[0] if len(names) == 1 else names
    if default is not None:
        try:
            value = ast.literal_eval(default)
        except ValueError:
            value = ...
        if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value)):
            entry["default"] = value
        else:
            entry["default_source"] = ast.unparse(default)
    return entry


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(d).partition("(")[0] for d in node.decorator_list)


def _is_property(node: ast.FunctionDef) -> bool:
    return any(ast.unparse(d).rpartition(".")[2] in ("property", "cached_property") for d in node.decorator_list)


def _assigns(node: ast.stmt, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(t, ast.Name) and t.id == name for t in targets)
