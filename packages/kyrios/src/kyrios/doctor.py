"""What ``kyrios doctor`` asks."""

from __future__ import annotations

import os
from collections.abc import Iterable

from kyrios._house.config import Config
from kyrios._house.doctor import Check


def checks(config: Config) -> Iterable[Check]:
    """Give one check for each backend that `config` names."""
    yield Check("engine", str(config.shown("engine")), lambda: _engine(config.text("engine")))
    yield Check("data", str(config.shown("data")), lambda: _data(config.text("data")))
    yield Check("channel", str(config.shown("channel")), lambda: _channel(config.text("channel")))
    yield Check("history", str(config.shown("history")), lambda: _history(config.text("history")))


def _engine(url: str) -> str:
    from kyrios.engine import Runner, open_engine

    engine = open_engine(url)
    return f"{engine.name} {'runs flows from here' if isinstance(engine, Runner) else 'takes rendered files'}"


def _data(url: str) -> str:
    from kyrios.data import open_data

    data = open_data(url)
    key = f"doctor/{os.getpid()}"
    data.put(key, b"ok")
    if bytes(data.get(key)) != b"ok":
        raise OSError(f"{data.where(key)} gave back other bytes")
    return f"writes and reads at {data.url}"


def _history(url: str) -> str:
    from kyrios.history import open_history

    with open_history(url) as history:
        return f"answers; newest run: {next((h.run_id for h in history.heads(1)), 'none')}"


def _channel(url: str) -> str:
    from kyrios.channel import open_channel

    with open_channel(f"doctor-{os.getpid()}", url=url) as channel:
        reader = channel.reader("doctor")
        reader.leave()
    return "keeps and gives messages"
