"""What the page shows of the components: asked for in the background, node by node, so that no page waits for one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ptolemy.services import Component, Services, State

_OWN, _NODE = 0.3, 1.0  # seconds between two questions


@dataclass
class _Feed:
    ask: Callable[[], list[State]]
    pause: float
    states: list[State] = field(default_factory=list)


class Board:
    """The newest states of all nodes.

    Parameters
    ----------
    services
        What keeps the components; `feeds`, where it has that, gives a question for each node.
    components
        What `services` is configured with.
    again
        Reads the components anew: an action goes by what their definition says then.
    """

    def __init__(
        self, services: Services, components: list[Component], again: Callable[[], list[Component]] | None = None
    ) -> None:
        self.services, self.components = services, components
        self._again = again or (lambda: components)
        self.version = 0  #: Grows with every change.
        services.configure(components)
        questions: dict[str, Callable[[], list[State]]] = getattr(services, "feeds", lambda: {"": services.states})()
        self._feeds = {name: _Feed(ask, _NODE if name else _OWN) for name, ask in questions.items()}
        for name, feed in self._feeds.items():
            if name:
                feed.states = [State(f"{name}/", "unknown", reason="not asked yet", node=name)]
        self._over = threading.Event()

    def start(self) -> None:
        """Begin to ask; one thread for each node."""
        for name, feed in self._feeds.items():
            threading.Thread(target=self._ask, args=(name, feed), daemon=True, name=f"board-{name}").start()

    def close(self) -> None:
        """Stop asking."""
        self._over.set()

    def act(self, verb: str, name: str) -> None:
        """Start (``up``), stop (``down``) or restart a component by its definition of this moment."""
        self.components = self._again()
        self.services.configure(self.components)
        getattr(self.services, verb)([name])

    def states(self) -> list[State]:
        """Return what is known now, without asking anybody."""
        return [state for feed in self._feeds.values() for state in feed.states]

    def get(self, name: str) -> State | None:
        """Return the state of one component."""
        return next((s for s in self.states() if s.component == name), None)

    def _ask(self, name: str, feed: _Feed) -> None:
        while not self._over.is_set():
            try:
                states = feed.ask()
            except Exception as exc:  # whatever happens to one node, the others are shown
                states = [State(f"{name}/", "unknown", reason=f"{type(exc).__name__}: {exc}", node=name)]
            if states != feed.states:
                feed.states = states
                self.version += 1
            self._over.wait(feed.pause)


def age_of(state: State) -> float | None:
    """Return how many seconds ago the keeper looked at a component."""
    return max(0.0, time.time() - state.heartbeat) if state.heartbeat else None
