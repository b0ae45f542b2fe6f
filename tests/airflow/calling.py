"""Runs in Airflow's environment: for each line of JSON, a child runs the hook of a rendered DAG file's tasks.

A line holds ``command``, ``environment`` and ``answer``, a path for the outcome; the child's number is printed.
"""

import importlib.util
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path


class Heard(logging.Handler):
    """Keeps what the hook logs."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def main():
    spec = importlib.util.spec_from_file_location("rendered", sys.argv[1])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    print("ready", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            call(module, json.loads(line))
            os._exit(0)
        print(pid, flush=True)


def call(module, order):
    heard, hook = Heard(), module.UnitHook()
    hook._log = logging.Logger("hook", logging.INFO)
    hook._log.addHandler(heard)
    ask = order.get("stop_at")
    if ask:
        threading.Thread(target=stop, args=(hook, Path(ask)), daemon=True).start()
    os.umask(0o027)
    answer = Path(order["answer"])
    try:
        found = hook.run_command(["/bin/bash", "-c", order["command"]], order["environment"])
        said = {"code": found.exit_code, "last": found.output, "child": hook.child, "lines": heard.lines}
    except BaseException as exc:
        said = {"error": repr(exc), "lines": heard.lines}
    answer.with_suffix(".new").write_text(json.dumps(said))
    answer.with_suffix(".new").rename(answer)


def stop(hook, mark):
    """Send the signal of a task that is stopped, once there is `mark`."""
    import time

    while not mark.exists():
        time.sleep(0.02)
    hook.send_sigterm()


main()
