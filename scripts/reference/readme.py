"""The table of the READMEs: this house beside its anchors, from the figures that were measured and nothing else."""

from __future__ import annotations

import re
from typing import Any

from scripts.reference.figures import BENCHMARKS, number, read
from scripts.reference.markdown import table

_PLACE = re.compile(r"(<!-- figures -->\n).*?(<!-- end of figures -->)", re.DOTALL)
_HEADS = {
    "en": ["library", "what", "here", "the anchor", "there"],
    "zh": ["库", "测量内容", "本项目", "参照对象", "参照值"],
}


def filled(text: str, language: str) -> str:
    """Return a README with its table filled in: every figure that has a peer of the same run.

    The table stands between ``<!-- figures -->`` and ``<!-- end of figures -->``.
    """
    rows = [
        (r["library"].capitalize(), r["figure"], number(r["value"], r["unit"]), r["peer"],
         number(r["peer_value"], r["unit"]))
        for r in read(BENCHMARKS)
        if _has_anchor(r)
    ]  # fmt: skip
    lines = table(_HEADS[language], rows, right=[_HEADS[language][2], _HEADS[language][4]])
    return _PLACE.sub(lambda found: f"{found[1]}\n{chr(10).join(lines).strip()}\n\n{found[2]}", text)


def _has_anchor(record: dict[str, Any]) -> bool:
    # The least that any Python command takes is a floor and no anchor; "the same" says nothing without the row above.
    is_whole = not record["id"].startswith("startup") and not record["figure"].startswith("the same")
    return record.get("peer_value") is not None and is_whole
