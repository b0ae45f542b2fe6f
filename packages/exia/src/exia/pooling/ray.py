"""Pooled objects that live in Ray actors; Ray runs on this machine, on loopback, and asks for a token."""

from __future__ import annotations

import atexit
import os
import secrets
import sys
import threading
from collections.abc import Mapping
from typing import Any

# Ray reads this once, when it is imported. Whoever may speak to a node may run any code on it, and without a token
# that is every user of this machine.
if "ray" not in sys.modules:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Without it Ray takes 127.0.0.1 for the address of a network card, and listens on all of them.
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if os.environ.setdefault("RAY_AUTH_MODE", "token") == "token" and not os.environ.get("RAY_AUTH_TOKEN_PATH"):
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))

import ray

from exia.errors import BackendUnavailable, BadInput, WorkerDied
from exia.pooling.elsewhere import Elsewhere, ElsewhereFactory
from exia.pooling.resident import Resident

_PATIENCE = 5.0  #: Seconds that an actor gets to say that it lives.
_lock = threading.Lock()
_connected_in: int | None = None


class Actor(Elsewhere):
    """Stands for an object in a Ray actor.

    Arguments and results go the way of Ray: an array above 100 KB that comes back lies in Ray's shared
    memory and cannot be written; copy it to change it.
    """

    def __init__(self, target: str | bytes, params: Mapping[str, Any]) -> None:
        self._owner = os.getpid()
        self._alive = True
        self._actor = _remote_class().remote(list(sys.path))
        self._where = f"actor {self._actor._actor_id.hex()[:8]}"
        try:
            self._take_table(self._ask(self._actor.build, target, dict(params)))
        except BaseException:
            self._end()
            raise

    def _call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return self._ask(self._actor.call, name, args, dict(kwargs))

    def _renew(self, params: Mapping[str, Any]) -> None:
        self._ask(self._actor.renew, dict(params))

    def _ask(self, method: Any, *args: Any) -> Any:
        if not self._alive or os.getpid() != self._owner:
            raise WorkerDied(f"{self._where} of this object has ended")
        sent = _sent(method, args)
        try:
            done, value = ray.get(sent)
        except ray.exceptions.RayActorError as exc:
            self._alive = False
            raise WorkerDied(
                f"{self._where} of this object has died: {_line(exc)}", hint="lease again: the pool makes another"
            ) from exc
        except ray.exceptions.RayTaskError as exc:
            raise TypeError(f"the result cannot leave its actor: {_line(exc.cause or exc)}") from None
        except BaseException:
            self._end()  # it may still work on what nobody waits for
            raise
        if done:
            return value
        raise value

    def _usable(self) -> bool:
        return self._alive

    def _answers(self) -> bool:
        if not self._alive or os.getpid() != self._owner:
            return False
        try:
            ray.get(self._actor.ping.remote(), timeout=_PATIENCE)
        except ray.exceptions.RayError:
            self._alive = False
        return self._alive

    def _end(self) -> None:
        if os.getpid() != self._owner:
            return  # a forked child; the actor belongs to the parent
        self._alive = False
        if ray.is_initialized():
            ray.kill(self._actor)


class RayFactory(ElsewhereFactory[Actor]):
    """Makes objects that live in Ray actors."""

    def make(self, **params: Any) -> Actor:
        """Start an actor and make the object in it."""
        return Actor(self._target, params)


class _ActorBody(Resident):
    """What runs in the actor."""

    def __init__(self, path: list[str]) -> None:
        super().__init__()
        sys.path[:] = path  # so that what can be imported here can be there

    def ping(self) -> None:
        """Return."""


def _remote_class() -> Any:
    """Return the class of actors, on a node that lives as long as this process."""
    global _connected_in
    with _lock:
        if _connected_in is not None and _connected_in != os.getpid():
            raise BackendUnavailable(
                "ray: this process was forked from one that speaks to Ray, which Ray does not survive",
                hint="start processes by spawn, or open the pool in the child alone",
            )
        if os.environ.get("RAY_AUTH_MODE") != "token":
            raise BadInput(
                "ray was imported before the pool, or told to do without tokens; its node would obey every user here",
                hint="set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN before Python starts",
            )
        if not ray.is_initialized():
            try:
                ray.init(
                    include_dashboard=False,
                    _node_ip_address="127.0.0.1",
                    log_to_driver=False,
                    configure_logging=False,
                )
            except (OSError, RuntimeError, TimeoutError, ValueError) as exc:
                raise BackendUnavailable(f"ray: a node on this machine does not start: {_line(exc)}") from exc
            atexit.register(ray.shutdown)
        _connected_in = os.getpid()
    # No processor is set aside for an actor: the pool bounds how many there are, and they wait most of the time.
    return ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)(_ActorBody)


def _sent(method: Any, args: tuple[Any, ...]) -> Any:
    try:
        return method.remote(*args)
    except TypeError as exc:
        raise BadInput(f"the arguments cannot be sent to another process: {_line(exc)}") from None


def _line(exc: BaseException) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]
