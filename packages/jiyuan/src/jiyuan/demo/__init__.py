"""The demo: real data through all four libraries, ending in one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from jiyuan._house.progress import Progress, no_progress
from jiyuan.demo.place import Place, find_examples, read_backends, settings
from jiyuan.demo.steps import STEPS, Result, distribute_algorithm, load_data

__all__ = ["prepare", "read_backends", "run_demo"]


def run_demo(
    out: Path,
    examples: Path | None = None,
    *,
    backends: Mapping[str, str] | None = None,
    said: Callable[[dict[str, Any]], None] | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Run the five steps in `out` and return what they found.

    Parameters
    ----------
    out
        Folder for everything that is made; made if it is not there. A second run in the same
        folder gives the same results, also after one that was interrupted.
    examples
        The checkout's ``examples`` folder; by default searched from the working folder upward.
    backends
        Servers in the place of embedded backends, by the names of their variables, such as
        ``{"EXIA_RUNS": "mongodb://..."}``; `read_backends` reads them from a file.
    said
        Called after each step with its ``library``, ``said`` (one line), ``seconds`` and ``shown``.
    progress
        Called with steps done and steps in all.

    Returns
    -------
    dict
        ``report`` (path of the page), ``dag`` (path of the Airflow file), ``steps``, ``figures``
        and ``next`` (commands to try in `out`).

    Raises
    ------
    NotFound
        If there is no examples folder.
    Conflict
        If `out` holds what the demo did not write.
    MissingExtra
        If the sample data is not installed.
    """
    place = Place((examples or find_examples(Path.cwd())).resolve(), out.resolve(), backends or {})
    result = Result(place)
    place.make()
    with settings(place.environment()):
        for number, step in enumerate(STEPS):
            progress(number, len(STEPS))
            begin = perf_counter()
            outcome = dict(step.work(result))
            entry = {"library": step.library, "seconds": perf_counter() - begin, **outcome}
            result.steps.append(entry)
            if said is not None:
                said(entry)
        progress(len(STEPS), len(STEPS))
    return {
        "report": str(place.out / "report.html"),
        "dag": str(result.dag_file),
        "steps": [{k: v for k, v in step.items() if k != "shown"} for step in result.steps],
        "figures": result.figures,
        "next": [
            "ptolemy query daily --ts-code AAPL.US --limit 5",
            "veda show momentum",
            "exia monitor tail",
            "kyrios runs list",
            f"jiyuan trace {result.run.run_id[-6:]}",
            f"jiyuan reproduce {result.run.run_id[-6:]}",
        ],
    }


def prepare(home: Path, examples: Path | None = None) -> dict[str, str]:
    """Load the data and install the algorithm under `home`, as the flow needs them on any engine.

    Returns
    -------
    dict
        The environment variables that the flow's tasks must run with.
    """
    place = Place((examples or find_examples(Path.cwd())).resolve(), home.resolve())
    place.make()
    with settings(place.environment()):
        load_data(Result(place))
        distribute_algorithm(Result(place))
    return place.environment()
