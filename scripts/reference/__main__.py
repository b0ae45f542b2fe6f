"""``python -m scripts.reference [--check]``."""

from __future__ import annotations

import sys

from scripts.reference.pages import DOCS, pages, stale


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` say which are stale and return 1 if one is."""
    if "--check" in arguments:
        for path in (old := stale()):
            print(f"{path.relative_to(DOCS.parent)} is not what the code says; run: scripts/docs", file=sys.stderr)
        return 1 if old else 0
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
