"""What ``veda doctor`` asks."""

from __future__ import annotations

from collections.abc import Iterable

from veda._house.backends import BackendURL
from veda._house.config import Config
from veda._house.doctor import Check
from veda.settings import index_url, registry_url, store_url


def checks(config: Config) -> Iterable[Check]:
    """Give one check for each backend that `config` names."""
    registry, store = config.text("registry"), config.text("store")
    activation, deploy = config.text("activation"), config.text("deploy")
    found = [
        Check("registry", str(registry_url(registry)), lambda: _registry(registry)),
        Check("store", str(store_url(store)), lambda: _store(store)),
        Check("activation", str(BackendURL.parse(activation)), lambda: _activation(activation)),
        Check("deploy", str(BackendURL.parse(deploy)), lambda: _deploy(deploy)),
    ]
    index = index_url(config.text("index"))
    return [*found, Check("index", str(index), _index)] if index else found


def _registry(url: str) -> str:
    from veda.registry import open_registry

    with open_registry(url) as registry:
        return f"{len(registry.releases())} releases"


def _store(url: str) -> str:
    from veda.store import open_store

    with open_store(url) as store:
        store.has_blob("0" * 64)
        return "answers"


def _activation(url: str) -> str:
    from veda.activation import open_activation

    return f"{len(open_activation(url).available())} generations"


def _deploy(url: str) -> str:
    from veda.deploy import open_deploy

    target = open_deploy(url)
    return "an inventory" if target.remote else f"{len(target.hosts())} host"


def _index() -> str:
    from veda.outbox import Outbox
    from veda.remote import open_index

    with open_index(), Outbox() as outbox:
        waiting = len(outbox.waiting())
    return f"answers; {waiting} announcements wait" if waiting else "answers"
