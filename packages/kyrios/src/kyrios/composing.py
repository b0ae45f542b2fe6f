"""Parameters from the command line in Hydra's words: overrides, groups of parameters, sweeps.

The edge to Hydra: it composes values and nothing else. What comes out are parameters, which the flow's own closed model
judges; no key of a configuration ever names what is called, and nothing is instantiated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kyrios._house.errors import nearest
from kyrios.errors import BadInput, MissingExtra
from kyrios.graph import Graph
from kyrios.params import bind

if TYPE_CHECKING:
    from kyrios.flows import Flow

GROUPS = "conf"  #: Folder of a flow that holds its groups: ``conf/<group>/<choice>.yaml`` are parameters.

_MOST = 10_000  # combinations of one sweep
_BASE, _ROOT = "_kyrios_params", "_kyrios"


def compose(flow: Flow, overrides: Sequence[str]) -> list[dict[str, Any]]:
    """Return the parameters that `overrides` give, once for each combination of a sweep, in their order.

    Parameters
    ----------
    overrides
        In Hydra's grammar: ``window=20``, ``market=cn`` for a group, ``window=5,20`` or ``window=range(1,4)`` to sweep.

    Raises
    ------
    BadInput
        If an override cannot be read, names nothing, or what it gives does not fit the flow.
    MissingExtra
        If Hydra is not installed.
    """
    try:
        import hydra
        from hydra.core.config_store import ConfigStore
        from hydra.errors import HydraException
        from omegaconf.errors import OmegaConfBaseException
    except ModuleNotFoundError as exc:
        raise MissingExtra(
            f"overrides need {exc.name}, which is not installed", hint="pip install 'jiyuan-kyrios[hydra]'"
        ) from exc
    graph, folder = flow.graph, flow.folder / GROUPS
    groups = _groups(folder)
    for name in ("defaults", "hydra"):
        if name in graph.params:
            raise BadInput(f"{name!r} means something else to Hydra", hint=f"--param {name}=VALUE")
    store = ConfigStore.instance()
    store.store(name=_BASE, node=_escaped(dict(graph.params)))
    # None of them is chosen at first; what is chosen gives parameters, not a parameter of the group's name.
    choices: list[Any] = [{f"{group}@_global_": None} for group in groups]
    store.store(name=_ROOT, node={"defaults": [_BASE, *choices, "_self_"]})
    # Its context cares for a global of Hydra's, which is there for one caller at a time.
    with hydra.initialize_config_dir(str(folder if folder.is_dir() else flow.folder), version_base="1.3"):
        try:
            combinations = _combinations(overrides, groups, graph)
            return [_composed(graph, words) for words in combinations]
        except (HydraException, OmegaConfBaseException) as exc:
            raise BadInput(f"the overrides cannot be used: {str(exc).splitlines()[0]}", hint=_hint(exc)) from None


def _composed(graph: Graph, words: Sequence[str]) -> dict[str, Any]:
    from hydra import compose as composed
    from omegaconf import OmegaConf

    found = OmegaConf.to_container(composed(_ROOT, overrides=list(words)), resolve=True)
    assert isinstance(found, dict)
    params: dict[str, Any] = {str(name): value for name, value in found.items()}
    if (path := _target_in(params)) is not None:
        raise BadInput(f"{path} is a key that Kyrios never calls", hint="a unit is named by use: in flow.yaml")
    given = {name: value for name, value in params.items() if name not in graph.params or value != graph.params[name]}
    bind(graph, given)
    return given


def _combinations(overrides: Sequence[str], groups: Sequence[str], graph: Graph) -> list[tuple[str, ...]]:
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    ways: list[list[str]] = []
    for override in OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(list(overrides)):
        name = override.key_or_group
        first = name.partition(".")[0]
        if name not in groups and first not in graph.params:
            known = [*graph.params, *groups]
            hint = nearest(name, known) or f"its parameters and groups: {', '.join(known) or 'none'}"
            raise BadInput(f"the flow {graph.flow} has no parameter {name!r}", hint=hint)
        key = override.get_key_element()
        if name in groups and override.package is None:
            key += "@_global_"
        if override.is_delete():
            raise BadInput(f"the parameter {name!r} cannot be taken away", hint=f"{name}=VALUE")
        if override.is_sweep_override():
            ways.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            ways.append([f"{key}={override.get_value_element_as_str()}"])
        if prod(map(len, ways)) > _MOST:
            raise BadInput(f"the sweep has more than {_MOST} combinations")
    return list(product(*ways))


def _groups(folder: Path) -> list[str]:
    return sorted({
        path.parent.relative_to(folder).as_posix() for path in folder.rglob("*.yaml") if path.parent != folder
    })  # fmt: skip


def _escaped(value: Any) -> Any:
    """Return `value` so that OmegaConf leaves its texts as they are."""
    if isinstance(value, str):
        return value.replace("${", "\\${")
    if isinstance(value, Mapping):
        return {key: _escaped(held) for key, held in value.items()}
    return [_escaped(held) for held in value] if isinstance(value, list) else value


def _target_in(value: Any, path: str = "") -> str | None:
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for key, held in pairs:
        where = f"{path}.{key}" if path else str(key)
        if key == "_target_":
            return where
        if (found := _target_in(held, where)) is not None:
            return found
    return None


def _hint(exc: Exception) -> str | None:
    lines = [line.strip() for line in str(exc).splitlines()[1:] if line.strip()]
    if "Available options" in str(exc):
        start = next(i for i, line in enumerate(lines) if line.startswith("Available options"))
        known = [line for line in lines[start + 1 :] if ":" not in line and "=" not in line]
        return f"there are {', '.join(known)}"
    return lines[0] if lines else None
