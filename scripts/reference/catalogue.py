"""The page of every data set of Ptolemy, written from the catalogue's files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.reference.markdown import NOTICE, cell, code, page, table

if TYPE_CHECKING:
    from ptolemy.catalogue import Asking, Interface


def catalogue_page() -> str:
    """Return the page of the data sets that are shipped."""
    from ptolemy.catalogue import interfaces

    known = [i for i in interfaces().values() if not i.own]
    head = [
        "# The data sets of Ptolemy",
        "",
        NOTICE,
        "",
        "Each data set is one file in `packages/ptolemy/src/ptolemy/catalogue/`; what is checked, what can be asked",
        "for, the description of the service, the client's help, the points in InfluxDB and this page follow from it.",
        "A hidden column comes back only when `fields` names it. `ptolemy dataset add FILE` adds one of yours; see",
        "[collect and check](../how-to/collect-and-check.md).",
        "",
        *table(
            ["data set", "key", "what it is"],
            [(f"[{code(i.name)}](#{i.name.replace('_', '-')})", ", ".join(map(code, i.key)), i.title) for i in known],
        ),
    ]
    return page(head, *(_section(i) for i in known))


def _section(known: Interface) -> list[str]:
    lines = [f"## {known.name}", "", f"{known.title}.", ""]
    if known.computed:
        lines.append("It is computed and never collected: it answers on an empty store.")
    else:
        asked = "not by a source" if known.asking is None else _asked(known.asking)
        lines.append(f"Collected {asked}; the rows of a session are there at {known.update}, by the calendar "
                     f"{code(known.calendar)}.")  # fmt: skip
        kind = "daily" if known.time is None or known.time.type == "date" else "minutes or ticks"
        tags = known.key[:-1] if known.time is not None and len(known.key) > 1 else known.key
        lines.append(f"In InfluxDB: measurement {code(known.name)} of {kind}, tags {', '.join(map(code, tags))}.")
    if known.limit:
        lines.append(f"Tushare gives {known.limit} rows at once; Ptolemy asks on by itself.")
    lines += ["", "Parameters: " + ", ".join(
        code(p.name) + (f" ({p.default} where it is not given)" if p.default else "") for p in known.parameters.values()
    ) + ", `fields`.", ""]  # fmt: skip
    lines += table(
        ["column", "type", "unit", "shown", "meaning"],
        [
            (code(c.name), c.type, c.unit or "-", "hidden" if c.hidden else "yes", cell(c.description))
            for c in known.columns
        ],
    )
    if known.rules:
        lines += ["Every row obeys " + ", ".join(code(str(rule)) for rule in known.rules) + ".", ""]
    if known.quality:
        lines += [f"Looked for besides: {', '.join(known.quality)}.", ""]
    return lines


def _asked(asking: Asking) -> str:
    each = "".join(f", for each {code(name)} of {', '.join(values)}" for name, values in asking.each.items())
    if asking.by == "whole":
        return f"as a whole{each}"
    if asking.by == "range":
        return f"by range of days{each}"
    if asking.by.endswith("code"):
        return f"security by security{each}"
    return f"by {code(asking.by)}, {asking.on} by {asking.on}{each}"
