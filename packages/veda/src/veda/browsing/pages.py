"""The pages of a catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from veda.browsing.collect import Catalogue, Entry, Listed, names_of
from veda.browsing.markup import Html, joined, markdown, sentence, tag
from veda.registry.facets import words

_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
_STATES = {"trusted": "signed", "unknown": "unknown key", "none": "not signed", "unasked": "not asked"}


def index_page(catalogue: Catalogue) -> str:
    """Return the page that lists and searches the packages."""
    rows = [_row(package) for package in catalogue.packages]
    count = len(rows)
    search = tag(
        "p",
        tag("label", "Search", for_="search"),
        tag("input", id="search", type="search", autocomplete="off", placeholder="words, a method, a parameter"),
        tag("span", f"{count} of {count}", id="count", aria_live="polite"),
        class_="search",
        hidden=True,  # shown by the script: without one there is nothing to search with
    )
    head = tag("tr", *(tag("th", t, scope="col") for t in ("Package", "Version", "What it computes", "Signature")))
    table = tag("table", tag("thead", head), tag("tbody", *rows, id="packages"), class_="packages")
    empty = tag(
        "p", "No package is registered yet: ", tag("code", "veda register FILE"), " or ", tag("code", "veda sync")
    )
    none = tag("p", "No package fits.", id="none", hidden=True)
    body = joined(
        [tag("h1", "Packages"), tag("p", catalogue.source, class_="quiet"), search, table if rows else empty, none]
    )
    return _page("Packages", body, catalogue, "")


def package_page(catalogue: Catalogue, package: Listed, entry: Entry) -> str:
    """Return the page of one release; that of the newest is the package's own."""
    release, facts = entry.release, entry.release.facts
    known = {p.name for p in catalogue.packages}
    points = list(facts.get("entry_points") or [])
    newest = package.entries[0].release.version
    body = joined(
        [
            tag("nav", tag("a", "Packages", href="../../index.html"), " / ", package.name),
            tag("h1", package.name, " ", tag("small", release.version), " ", _badge(entry)),
            tag("p", facts.get("summary") or ""),
            tag("p", f"Taken back: {entry.yanked or 'no reason given'}", class_="warning")
            if entry.yanked is not None
            else None,
            tag("p", "There is a newer version: ", tag("a", newest, href="index.html"), class_="warning")
            if release.version != newest and entry.yanked is None
            else None,
            tag("pre", tag("code", _use(entry))),
            *(_point(point) for point in points),
            _facts(entry),
            _dependencies(package, facts, known),
            _versions(package, release.version),
            tag("section", tag("h2", "README"), tag("div", markdown(entry.readme), class_="readme"), id="readme")
            if entry.readme.strip()
            else None,
        ]
    )
    return _page(f"{package.name} {release.version}", body, catalogue, "../../")


def _page(title: str, body: Html, catalogue: Catalogue, up: str) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("link", rel="stylesheet", href=f"{up}catalogue.css"),
        tag("script", src=f"{up}catalogue.js", defer=True) if not up else None,
    )
    foot = tag("footer", f"Written by veda at {_when(catalogue.written_at)} UTC")
    return f"<!doctype html>\n{tag('html', head, tag('body', tag('main', body), foot), lang='en')}\n"


def _row(package: Listed) -> Html:
    entry = package.entries[0]
    release = entry.release
    searched = " ".join([words(release), *entry.tags]).lower()
    return tag(
        "tr",
        tag("th", tag("a", package.name, href=f"packages/{quote(package.name)}/index.html"), scope="row"),
        tag("td", release.version, *(joined([" ", tag("span", t, class_="tag")]) for t in entry.tags)),
        tag("td", release.facts.get("summary") or ""),
        tag("td", _badge(entry)),
        data_words=" ".join(searched.split()),
    )


def _badge(entry: Entry) -> Html:
    return tag(
        "span", _STATES[entry.signature.state], class_=f"badge {entry.signature.state}", title=entry.signature.detail
    )


def _use(entry: Entry) -> str:
    ref = str(entry.release)
    return f'veda pull {ref}\n\nimport veda\nloaded = veda.load("{ref}")'


def _point(point: Mapping[str, Any]) -> Html:
    schema = dict(point.get("parameters") or {})
    required = set(schema.get("required") or [])
    parameters = [
        (
            tag("code", name),
            tag("code", rule.get("annotation") or _type(rule)),
            "required" if name in required else tag("code", _default(rule)),
        )
        for name, rule in dict(schema.get("properties") or {}).items()
    ]
    methods = [
        (tag("code", f"{name}{said.get('signature', '()')}"), sentence(said.get("summary")))
        for name, said in dict(point.get("methods") or {}).items()
    ]
    return tag(
        "section",
        tag("h2", str(point["name"]), " ", tag("code", str(point["target"]))),
        tag("p", sentence(point.get("summary"))),
        _table(("Parameter", "Type", "Default"), parameters) if parameters else tag("p", "It takes no parameter."),
        _table(("Method", "What it gives"), methods) if methods else None,
        tag(
            "details",
            tag("summary", "Parameters as a JSON Schema"),
            tag("pre", tag("code", json.dumps(schema, ensure_ascii=False, indent=2))),
        ),
        class_="point",
    )


def _facts(entry: Entry) -> Html:
    facts = entry.release.facts
    made = dict(facts.get("provenance") or {})
    components = [f"{c['path']} ({c['kind']})" for c in facts.get("components") or []]
    rows = [
        ("Digest", tag("code", entry.release.digest)),
        ("Signature", entry.signature.detail),
        ("Published", f"{_when(entry.release.published_at)} UTC" if entry.release.published_at else "unknown"),
        ("Tags", ", ".join(entry.tags) or "none"),
        ("Licence", facts.get("license") or ""),
        ("Authors", ", ".join(map(str, facts.get("authors") or [])) or "not named"),
        ("Python", facts.get("requires_python") or "any"),
        ("Size", f"{_size(facts.get('size'))} in {facts.get('file_count', '?')} files"),
        ("Components", ", ".join(components) or "not named"),
        ("Git commit", tag("code", made["git_commit"]) if made.get("git_commit") else "unknown"),
    ]
    listed = joined(joined([tag("dt", key), tag("dd", value)]) for key, value in rows)
    return tag("section", tag("h2", "Facts"), tag("dl", listed))


def _dependencies(package: Listed, facts: Mapping[str, Any], known: set[str]) -> Html:
    needs = [_link(text, name, known) for text, name in names_of(facts.get("packages") or [])]
    dists = [tag("code", text) for text, _ in names_of(facts.get("requires") or [])]
    users = [_link(name, name, known) for name in package.used_by]
    return tag(
        "section",
        tag("h2", "Dependencies"),
        tag(
            "dl",
            joined([tag("dt", "Needs packages"), tag("dd", _listed(needs))]),
            joined([tag("dt", "Needs distributions"), tag("dd", _listed(dists))]),
            joined([tag("dt", "Used by"), tag("dd", _listed(users))]),
        ),
    )


def _versions(package: Listed, here: str) -> Html:
    rows = [
        (
            tag(
                "a",
                e.release.version,
                href=f"{quote(e.release.version)}.html",
                aria_current="page" if e.release.version == here else None,
            ),
            _when(e.release.published_at),
            ", ".join(e.tags),
            _badge(e),
            f"taken back: {e.yanked or 'no reason given'}" if e.yanked is not None else "",
        )
        for e in package.entries
    ]
    return tag("section", tag("h2", "Versions"), _table(("Version", "Published (UTC)", "Tags", "Signature", ""), rows))


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    head = tag("tr", *(tag("th", c, scope="col") for c in columns))
    body = (tag("tr", *(tag("td", cell) for cell in row)) for row in rows)
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body)), class_="wide")


def _link(text: str, name: str, known: set[str]) -> Html:
    shown = tag("code", text)
    return tag("a", shown, href=f"../{quote(name)}/index.html") if name in known else shown


def _listed(items: Sequence[Html]) -> Html:
    return joined(Html(", ") + item if n else item for n, item in enumerate(items)) if items else joined(["none"])


def _type(rule: Mapping[str, Any]) -> str:
    kind = rule.get("type", "any")
    return " or ".join(map(str, kind)) if isinstance(kind, list) else str(kind)


def _default(rule: Mapping[str, Any]) -> str:
    return str(rule["default_source"]) if "default_source" in rule else repr(rule.get("default"))


def _when(at: str) -> str:
    return at[:16].replace("T", " ")


def _size(size: object) -> str:
    if not isinstance(size, int):
        return "? bytes"
    if size < 10_000:
        return f"{size} bytes"
    return f"{size / 1024:.0f} KiB" if size < 10 << 20 else f"{size / (1 << 20):.0f} MiB"
