"""The extension facet: functions that are called around a unit, by its own file or by a plugin."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kyrios._house.errors import nearest
from kyrios.code import blame, load_function
from kyrios.errors import MissingExtra
from kyrios.graph import Task
from kyrios.registry import code_folder

if TYPE_CHECKING:
    import pyarrow as pa

#: When a hook is called, in the words of the files.
MOMENTS = ("before", "after", "on_error", "on_retry")
GROUP = "kyrios.plugins"


@dataclass(frozen=True)
class UnitCall:
    """What a hook is told of the call of a unit; it changes nothing.

    Parameters
    ----------
    moment
        ``before`` and ``after`` the unit's function; ``on_retry`` after a try that failed and is repeated, ``on_error``
        after the last one.
    flow, run_id, unit
        Which unit, by its name in the flow.
    attempt
        Which try, from 1.
    params, inputs
        What the unit takes; nothing where it failed before they were read.
    outputs
        What it has given, ``after`` it.
    error
        Why it failed, in one line.
    """

    moment: str
    flow: str
    run_id: str
    unit: str
    attempt: int = 1
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, pa.Table] = field(default_factory=dict)
    outputs: Mapping[str, pa.Table] = field(default_factory=dict)
    error: str = ""


Hook = Callable[[UnitCall], object]


class Hooks:
    """The hooks of one task, loaded; those of the flow stand around those of the unit."""

    def __init__(self, found: Mapping[str, Sequence[Hook]]) -> None:
        self._found = found

    @classmethod
    def of(cls, task: Task, folder: Path) -> Hooks | None:
        """Return the hooks of `task`, whose flow is in `folder`; None where it has none.

        Raises
        ------
        MissingExtra
            If a plugin is not installed.
        """
        told = task.extension
        plugins = [plugin(name) for name in told.get("plugins", ())]
        found: dict[str, list[Hook]] = {}
        for moment in MOMENTS:
            own = [load_function(code_folder(folder, where), call)[0] for where, call in told.get(moment, ())]
            others = [getattr(one, moment) for one in plugins if hasattr(one, moment)]
            if own or others:
                found[moment] = [*others, *own] if moment == "before" else [*own, *others]
        return cls(found) if found else None

    def call(self, call: UnitCall) -> None:
        """Call the hooks of a moment; what one raises is the unit's failure."""
        for hook in self._found.get(call.moment, ()):
            hook(call)

    def tell(self, call: UnitCall, folder: Path) -> None:
        """Tell the hooks of a failure; what one raises is printed, for the failure itself counts."""
        for hook in self._found.get(call.moment, ()):
            try:
                hook(call)
            except Exception as exc:
                print(f"{call.moment} of {call.unit} raises {blame(exc, folder)}", file=sys.stderr)


def plugin(name: str) -> Any:
    """Return the plugin `name`: a module or an object with hooks, by the entry points of ``kyrios.plugins``."""
    known = _plugins()
    if name not in known:
        hint = nearest(name, known) or f"installed: {', '.join(sorted(known)) or 'none'}"
        raise MissingExtra(f"no plugin {name!r} is installed", hint=hint)
    found = known[name].load()
    return found() if isinstance(found, type) else found


def plugin_names() -> list[str]:
    """Return the names of the plugins that are installed, sorted."""
    return sorted(_plugins())


def _plugins() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP)}


def joined(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    """Return the extension of a task that has `inner` by itself and stands in a flow with `outer`."""
    found: dict[str, Any] = {}
    for key in (*MOMENTS, "plugins"):
        first, then = (outer, inner) if key in ("before", "plugins") else (inner, outer)
        if both := [*first.get(key, ()), *(one for one in then.get(key, ()) if one not in first.get(key, ()))]:
            found[key] = both
    if engines := {**outer.get("engines", {}), **inner.get("engines", {})}:
        found["engines"] = engines
    return found


def moved(extension: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """Return `extension` as it is seen from a flow in whose `folder` its own flow lies."""
    found = dict(extension)
    for moment in MOMENTS:
        if moment in found:
            found[moment] = [
                [where if where.startswith("registry:") else "/".join(filter(None, (folder, where))), call]
                for where, call in found[moment]
            ]
    return found


def engine_options(tasks: Sequence[Task], engine: str) -> dict[str, Any]:
    """Return what `engine` is told of a task, or of a group that runs as one: what the first of them says."""
    found: dict[str, Any] = {}
    for task in tasks:
        found = {**task.extension.get("engines", {}).get(engine, {}), **found}
    return found
