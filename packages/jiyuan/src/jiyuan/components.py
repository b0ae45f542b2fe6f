"""The programs that ``jiyuan.toml`` names, kept running by Ptolemy's port of services."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ptolemy.services import Services, State


def up(*names: str, services: str | None = None) -> list[State]:
    """Start components, and what they depend on; return the state of each when it is ready.

    They run on when this process ends. One that runs is left alone, unless its definition has changed.

    Parameters
    ----------
    names
        Sections ``[services.NAME]`` of the project's ``jiyuan.toml``; none are all.
    services
        What keeps them, such as ``process:///srv/centre``; None is the setting of Ptolemy.

    Raises
    ------
    ptolemy.errors.NotReady
        If one cannot be started; the others run.

    Examples
    --------
    >>> import jiyuan as jy
    >>> [(state.component, state.state) for state in jy.up("clock")]
    [('clock', 'running')]
    >>> [(state.component, state.state) for state in jy.down()]
    [('clock', 'stopped')]
    """
    with _opened(services) as held:
        return held.up(names)


def down(*names: str, services: str | None = None) -> list[State]:
    """Stop components, and what depends on them before them; return the state of each.

    Parameters
    ----------
    names, services
        As in `up`.

    Examples
    --------
    >>> import jiyuan as jy
    >>> [state.component for state in jy.down("clock")]
    ['clock']
    """
    with _opened(services) as held:
        return held.down(names)


def _opened(url: str | None) -> Services:
    from ptolemy.services import find_definition, open_services, read_components

    components = read_components(find_definition())
    held = open_services(url)
    held.configure(components)
    return held
