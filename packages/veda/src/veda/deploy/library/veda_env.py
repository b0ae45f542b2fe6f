#!/usr/bin/python
"""The Ansible module ``veda_env``: one process on the host that checks, pulls, verifies, switches and goes back."""

from __future__ import annotations

import json
import sys
from base64 import b64decode

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: veda_env
short_description: Bring an environment of veda to what a lock says
description:
  - Pulls what is missing, verifies every byte, and switches by one rename; processes that run keep what they have.
  - The host needs jiyuan-veda for the interpreter that Ansible uses there.
options:
  action:
    description: What to do.
    choices: [deploy, rollback, status, facts, ping, run]
    default: deploy
  environment: {description: Name of the environment., type: str, default: ""}
  lock: {description: Content of the lock., type: raw}
  store: {description: URL of the store to pull from., type: str, default: ""}
  to: {description: Where a rollback goes; a generation, a lock's digest or a release., type: str, default: ""}
  argv: {description: The command of C(run)., type: list, elements: str}
  verify: {description: Whether C(status) compares every byte., type: bool, default: false}
  wheels: {description: A folder of wheels instead of the package index., type: str, default: ""}
  home: {description: Home of veda on the host., type: str, default: ""}
  order: {description: All but C(home) in one word; base64 of JSON., type: str, default: ""}
"""

EXAMPLES = r"""
- name: Bring research to the lock of the repository
  veda_env:
    environment: research
    lock: "{{ lookup('file', 'veda.lock') }}"
    store: file:/srv/store
"""

_OPTIONS = {
    "action": {
        "type": "str",
        "default": "deploy",
        "choices": ["deploy", "rollback", "status", "facts", "ping", "run"],
    },
    "environment": {"type": "str", "default": ""},
    "lock": {"type": "raw"},
    "store": {"type": "str", "default": "", "no_log": True},
    "to": {"type": "str", "default": ""},
    "argv": {"type": "list", "elements": "str", "default": []},
    "verify": {"type": "bool", "default": False},
    "wheels": {"type": "str", "default": ""},
    "home": {"type": "str", "default": ""},
    "order": {"type": "str", "default": "", "no_log": True},
}


def main() -> None:
    """Do what the parameters say and print the report as Ansible reads it."""
    module = AnsibleModule(argument_spec=_OPTIONS, supports_check_mode=True)
    options = dict(module.params)
    home = options.pop("home") or None
    if word := options.pop("order"):
        options = json.loads(b64decode(word))
    lock = options.pop("lock") or ""
    try:
        from veda.deploy.host import perform
        from veda.deploy.port import Order
        from veda.errors import VedaError
    except ImportError as exc:
        module.fail_json(
            msg=f"{sys.executable} has no veda: {exc}",
            hint="pip install jiyuan-veda there, or name its interpreter as ansible_python_interpreter",
        )
    text = lock if isinstance(lock, str) else json.dumps(lock)
    try:
        order = Order(**{**options, "lock": text, "argv": tuple(options["argv"])})
        report = perform(order, check=module.check_mode, home=home)
    except VedaError as exc:
        module.fail_json(msg=str(exc), hint=exc.hint, kind=type(exc).__name__)
    before, after = (
        "".join(f"{c['kind']} {c['name']} {c[side]}\n" for c in report.get("diff", ()) if c[side])
        for side in ("before", "after")
    )
    result = {"changed": report["changed"], "report": report, "diff": {"before": before, "after": after}}
    if report.get("rc"):
        module.fail_json(msg=f"exit code {report['rc']}", **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
