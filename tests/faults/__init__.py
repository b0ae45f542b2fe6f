"""Fault suites: what must survive a kill, a power loss, a full disk, a broken line, a wrong clock."""
