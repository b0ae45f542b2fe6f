"""PostgreSQL: user ``jiyuan``, database ``jiyuan``, no password on loopback."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from tests.services import wire
from tests.services.process import Server


class Postgresql(Server):
    word = "postgresql"
    refuses_root = True
    stop_signal = signal.SIGINT  # its "fast" stop; SIGTERM would wait for clients that are still connected

    def prepare(self) -> None:
        self.run(
            self.program.resolve().with_name("initdb"),  # PATH often has links to a few of the programs only
            *("-D", self.folder / "data", "-U", "jiyuan", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"),
        )
        # The single-user server makes the database before anybody can connect, so a first ping is a true one.
        self.run(
            "sh",
            *("-c", 'echo "CREATE DATABASE jiyuan" | "$0" --single -D "$1" postgres'),
            *(self.program, self.folder / "data"),
        )

    def command(self) -> Sequence[str | Path]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "shared_buffers": "32MB",
            "max_connections": 50,
            "dynamic_shared_memory_type": "mmap",  # containers often give a /dev/shm of 64 MB
            "timezone": "UTC",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self.program, "-D", self.folder / "data", *options]

    def ping(self) -> None:
        wire.postgresql_ready(self.port, "jiyuan", "jiyuan")

    def url(self, variable: str) -> str:
        return f"postgresql://jiyuan@127.0.0.1:{self.port}/jiyuan"
