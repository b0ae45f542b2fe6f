"""MariaDB, which stands in for MySQL: user ``jiyuan``, password ``jiyuan``, database ``jiyuan``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.services import wire
from tests.services.process import Server

_ACCOUNT = """
CREATE DATABASE IF NOT EXISTS jiyuan CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'jiyuan'@'127.0.0.1' IDENTIFIED BY 'jiyuan';
GRANT ALL ON *.* TO 'jiyuan'@'127.0.0.1';
"""


class Mariadb(Server):
    word = "mariadb"
    refuses_root = True

    def prepare(self) -> None:
        self.run(
            "mariadb-install-db",
            *("--no-defaults", f"--datadir={self.folder / 'data'}", "--auth-root-authentication-method=normal"),
            *("--skip-test-db", f"--tmpdir={self.folder}"),
        )
        (self.folder / "account.sql").write_text(_ACCOUNT)

    def command(self) -> Sequence[str | Path]:
        return [
            self.program,
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--init-file={self.folder / 'account.sql'}",
            f"--socket={self.folder / 'm.sock'}",
            f"--pid-file={self.folder / 'm.pid'}",
            f"--tmpdir={self.folder}",
            *("--bind-address=127.0.0.1", f"--port={self.port}", "--skip-name-resolve", "--default-time-zone=+00:00"),
            *("--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M", "--performance-schema=OFF"),
            *("--key-buffer-size=1M", "--aria-pagecache-buffer-size=1M", "--max-connections=64"),
        ]

    def ping(self) -> None:
        wire.mysql_version(self.port)

    def url(self, variable: str) -> str:
        return f"mysql://jiyuan:jiyuan@127.0.0.1:{self.port}/jiyuan"
