"""All written pages: path below ``docs/`` to text."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from scripts.reference import catalogue, commands, figures, house, names, readme, servers, settings
from scripts.reference.markdown import LIBRARIES, NOTICE, page

DOCS = Path(__file__).resolve().parents[2] / "docs"


def library_page(library: str) -> str:
    """Return the reference page of `library`."""
    summary = (import_module(library).__doc__ or "").partition("\n")[0]
    about = summary.partition(": ")[2] or summary
    head = [f"# {library}", "", NOTICE, "", f"{about[:1].upper()}{about[1:]}", ""]
    return page(
        head,
        commands.section(library),
        settings.settings_section(library),
        settings.backends_section(library),
        settings.errors_section(library),
        names.section(library),
    )


def pages() -> dict[Path, str]:
    """Return every written page, by its path."""
    found = house.survey()
    texts = {f"reference/{library}.md": library_page(library) for library in LIBRARIES}
    texts["reference/data-sets.md"] = catalogue.catalogue_page()
    texts["reference/benchmarks.md"] = figures.benchmarks_page()
    texts["reference/faults.md"] = figures.faults_page()
    texts["reference/imports.md"] = house.imports_page(found)
    texts["reference/verification.md"] = servers.filled(
        (DOCS / "reference" / "verification.md").read_text(encoding="utf-8")
    )
    texts["images/imports.svg"] = house.drawing(found)
    found_pages = {DOCS / path: text for path, text in texts.items()}
    for name, language in (("README.md", "en"), ("README.zh-CN.md", "zh")):
        path = DOCS.parent / name
        found_pages[path] = readme.filled(path.read_text(encoding="utf-8"), language)
    return found_pages


def stale() -> list[Path]:
    """Return the paths whose files are not what the code says."""
    return [p for p, text in pages().items() if not p.is_file() or p.read_text(encoding="utf-8") != text]
