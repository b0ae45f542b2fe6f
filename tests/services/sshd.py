"""An OpenSSH server that lets in the user who started it, by a key of its own: a host for Ansible."""

from __future__ import annotations

import getpass
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.services import wire
from tests.services.process import Server

_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""

_INVENTORY = (
    "{host} ansible_host=127.0.0.1 ansible_port={port} ansible_user={user} ansible_ssh_private_key_file={key} "
    "ansible_python_interpreter={python} ansible_ssh_common_args='{options}'\n"
)


class Sshd(Server):
    word = "sshd"
    durable = False  #: It keeps no data; what is written stays in the files of the machine.

    @property
    def key(self) -> Path:
        """Return the private key that opens this server."""
        return self.folder / "user_key"

    @property
    def options(self) -> list[str]:
        """Return the options for ``ssh`` that trust this server's key and nobody else's, and read no user's files."""
        return [
            *("-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"),
            *("-o", f"UserKnownHostsFile={self.folder / 'known_hosts'}", "-o", "IdentitiesOnly=yes"),
        ]

    def prepare(self) -> None:
        for name in ("host_key", "user_key"):
            self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self.folder / name)
        public = (self.folder / "host_key.pub").read_text()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {public}")
        (self.folder / "sshd_config").write_text(_CONFIG.format(port=self.port, folder=self.folder))
        (self.folder / "hosts.ini").write_text(self.inventory_line(f"host-{self.port}"))
        if os.geteuid() == 0:  # Debian makes this folder when its own service starts, which never happened here
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)

    def inventory_line(self, host: str) -> str:
        """Return the line of an Ansible inventory that calls this server `host`."""
        return _INVENTORY.format(
            host=host,
            port=self.port,
            user=getpass.getuser(),
            key=self.key,
            python=sys.executable,
            options=" ".join(self.options),
        )

    def command(self) -> Sequence[str | Path]:
        return [self.program, "-D", "-e", "-f", self.folder / "sshd_config"]

    def ping(self) -> None:
        wire.ssh_banner(self.port)

    def ssh(self, *command: str) -> list[str]:
        """Return the command line that runs `command` on this host."""
        ssh = shutil.which("ssh") or "ssh"
        return [
            ssh,
            *self.options,
            "-i",
            str(self.key),
            "-p",
            str(self.port),
            f"{getpass.getuser()}@127.0.0.1",
            *command,
        ]

    def url(self, variable: str) -> str:
        return f"ansible://{self.folder / 'hosts.ini'}"
