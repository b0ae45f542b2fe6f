"""The peer of `celery.py`: a task that does nothing, in Celery's own canvas, with its results in the same Redis."""

from __future__ import annotations

import os
import time
from typing import Any

import celery

app = celery.Celery("canvas", broker=os.environ["CANVAS_REDIS"], backend=os.environ["CANVAS_REDIS"])
app.conf.update(task_serializer="json", result_serializer="json", accept_content=["json"], task_default_queue="canvas")


@app.task(name="canvas.nothing")  # type: ignore[untyped-decorator, unused-ignore]
def nothing(*above: Any) -> None:
    """Do nothing."""


def layers(count: int, width: int) -> float:
    """Run `count` layers of `width` tasks, each layer after the one before it; return the seconds that it took."""
    canvas = celery.chain(*(celery.group(nothing.si() for _ in range(width)) for _ in range(count)), nothing.si())
    began = time.perf_counter()
    canvas.apply_async().get(timeout=120)
    return time.perf_counter() - began
