"""Consul, one server of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tests.services import wire
from tests.services.places import remove_stray
from tests.services.process import Server


class Consul(Server):
    word = "consul"
    port_names = ("http", "server", "serf_lan", "serf_wan")

    def prepare(self) -> None:
        config = {
            "server": True,
            "bootstrap_expect": 1,
            "datacenter": "test",
            "data_dir": str(self.folder / "data"),
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            "advertise_addr": "127.0.0.1",
            "disable_update_check": True,
            "log_level": "warn",
            "ports": {**self.ports, "dns": -1, "grpc": -1},
            "performance": {"raft_multiplier": 1},
        }
        (self.folder / "consul.json").write_text(json.dumps(config))

    def command(self) -> Sequence[str | Path]:
        return [self.program, "agent", "-config-file", self.folder / "consul.json"]

    def ping(self) -> None:
        # The agent answers before it has elected itself, and then refuses writes.
        if not wire.json_get(self.port, "/v1/status/leader"):
            raise wire.NotReady("no leader yet")
        # A new leader answers plain reads before it has replayed its log, as if keys were missing.
        wire.http_get(self.port, "/v1/kv/?keys&consistent", ok=(200, 404))

    def clean(self) -> None:
        remove_stray()

    def url(self, variable: str) -> str:
        return f"consul://127.0.0.1:{self.port}"
