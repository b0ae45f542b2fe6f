"""``kyrios worker``."""

from __future__ import annotations

import click

from kyrios._house.command import Command, note
from kyrios.errors import BadInput


@click.command(cls=Command, epilog="Example: kyrios worker --help")
@click.option("--engine", help="Such as celery://127.0.0.1:6379/0; the setting engine if not given.")
@click.option("--processes", type=click.IntRange(1), default=2, show_default=True, help="How many units run at once.")
def worker(engine: str | None, processes: int) -> None:
    """Execute the units that flows send through Celery, until Ctrl-C."""
    from kyrios.engine import open_engine

    found = open_engine(engine)
    if found.name != "celery":
        raise BadInput(f"{found.name} brings its own workers", hint="kyrios worker --engine celery://127.0.0.1:6379/0")
    from kyrios.engine.celery import CeleryEngine

    assert isinstance(found, CeleryEngine)
    note(f"{processes} processes take units from the queue {found.queue}; Ctrl-C ends them")
    found.work(processes)
