"""Contract suites: what each adapter must keep, ours and anybody's. They need pytest."""

from exia.testing.runs import RunsContract

__all__ = ["RunsContract"]
