"""supervisord's configuration: absolute paths, a socket for its user alone, and no secret."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ptolemy.errors import NotAllowed
from ptolemy.services.port import Component

_AUTORESTART = {"always": "true", "on-failure": "unexpected", "never": "false"}


def configuration(folder: Path, socket: Path, components: Sequence[Component]) -> str:
    """Return the configuration; raise `NotAllowed` where `folder` is none that supervisord takes."""
    if set(str(folder)) & set("%;\n"):
        raise NotAllowed(f"{folder}: supervisord takes no %, ; or line break in a path", hint="name another folder")
    sections: dict[str, dict[str, object]] = {
        "unix_http_server": {"file": socket, "chmod": "0700"},
        "supervisord": {
            "logfile": folder / "supervisord.log", "logfile_maxbytes": "1MB", "logfile_backups": 1,
            "pidfile": folder / "supervisord.pid", "childlogdir": folder / "logs", "directory": folder,
            "umask": "077", "identifier": "ptolemy",
        },
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
        "supervisorctl": {"serverurl": f"unix://{socket}"},
        "eventlistener:ptolemy": {
            "command": f"{sys.executable} -m ptolemy.services.listener {shlex.quote(str(folder))} unix://{socket}",
            "events": "PROCESS_STATE,TICK_5", "buffer_size": 1000, "autorestart": "true",
            "stderr_logfile": folder / "listener.log", "stderr_logfile_maxbytes": "1MB", "startretries": 1_000_000,
        },
    }  # fmt: skip
    groups: dict[str, list[str]] = {}
    for c in components:
        sections[f"program:{c.name}"] = {
            "command": f"{sys.executable} -m ptolemy.services.launch {shlex.quote(str(folder))} {c.name}",
            "autostart": "false", "autorestart": _AUTORESTART[c.restart],
            "startsecs": 0 if c.restart == "never" else 1, "startretries": c.retries or 1_000_000,
            "stopsignal": c.stop_signal, "stopwaitsecs": max(1, round(c.stop_timeout)),
            "stopasgroup": "true", "killasgroup": "true", "redirect_stderr": "true",
            "stdout_logfile": folder / "logs" / f"{c.name}.log",
            "stdout_logfile_maxbytes": c.log_size, "stdout_logfile_backups": c.log_files,
        }  # fmt: skip
        if c.group:
            groups.setdefault(c.group, []).append(c.name)
    for group, names in groups.items():
        sections[f"group:{group}"] = {"programs": ",".join(names)}
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in words.items())
        for name, words in sections.items()
    )
