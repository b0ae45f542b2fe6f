"""What Kibana imports: a data view of the daily indices, and a dashboard with panels of its own.

The structure is that of an export of Kibana 9; importing it goes forward in version, never back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

_CORE = "8.8.0"  # the newest change of saved objects as such, and of each type, that Kibana 9 writes
_DATA_VIEW = "8.0.0"
_DASHBOARD = "10.3.0"

_SAMPLES = "event.dataset : exia.pool and event.kind : metric"
#: What is drawn as a line through the charts: query, label, colour, icon.
_CHANGES = (
    ("changes", "event.action : (params-changed or pool-params)", "Parameters changed", "#6092C0", "tag"),
    ("swaps", "event.action : (pool-swapped or pool-undone or pool-drained)", "Version replaced", "#D36086", "flag"),
)


def saved_objects(prefix: str = "exia") -> str:
    """Return the file of saved objects, one JSON object a line.

    Parameters
    ----------
    prefix
        Of the indices; the path of the URL ``elasticsearch://host/prefix``.
    """
    view = _id(prefix, "data view")
    panels = [
        _panel(view, 0, 0, "Calls per second", [_sum("calls", "Calls", per_second=True)], split=True, changes=True),
        _panel(view, 24, 0, "Time that objects are held, ns", _quantiles("hold"), changes=True),
        _panel(view, 0, 15, "Errors, time-outs and refusals", [
            _sum("errors", "Calls that raised"), _sum("timeouts", "Callers who waited in vain"),
            _sum("refused", "Callers turned away"), _sum("failures", "Failures of the factory"),
        ], bars=True, changes=True),
        _panel(view, 24, 15, "Saturation (objects in use of the most)", [_max("exia.pool.saturation", "Saturation")],
               split=True, changes=True),
        _panel(view, 0, 30, "Time that callers wait, ns", _quantiles("wait"), changes=True),
        _panel(view, 24, 30, "Duration of events, ns", [_percentile(n) for n in (50, 95, 99)],
               query="event.dataset : exia.event", changes=True),
        _panel(view, 0, 45, "Alerts", [_count()], query="event.kind : alert", split="event.action", bars=True),
        _panel(view, 24, 45, "Callers in the queue", [_max("exia.pool.waiting", "Waiting")], split=True),
    ]  # fmt: skip
    lines = [_data_view(view, prefix), _dashboard(prefix, panels)]
    details = {
        "excludedObjects": [],
        "excludedObjectsCount": 0,
        "exportedCount": len(lines),
        "missingRefCount": 0,
        "missingReferences": [],
    }
    return "".join(f"{json.dumps(line, ensure_ascii=False, sort_keys=True)}\n" for line in (*lines, details))


def _data_view(view: str, prefix: str) -> dict[str, Any]:
    nanoseconds = {"id": "duration", "params": {"inputFormat": "nanoseconds", "outputFormat": "humanizePrecise"}}
    durations = [f"exia.pool.{what}.{q}" for what in ("wait", "hold") for q in ("p50", "p95", "p99")]
    formats = dict.fromkeys(("event.duration", *durations), nanoseconds)
    formats["exia.pool.saturation"] = {"id": "percent", "params": {"pattern": "0.0%"}}
    return {
        "attributes": {
            "allowHidden": False,
            "fieldAttrs": "{}",
            "fieldFormatMap": _text(formats),
            "fields": "[]",
            "name": f"{prefix}: events and figures of pools",
            "runtimeFieldMap": "{}",
            "sourceFilters": "[]",
            "timeFieldName": "@timestamp",
            "title": f"{prefix}-*",
        },
        "coreMigrationVersion": _CORE,
        "id": view,
        "managed": False,
        "references": [],
        "type": "index-pattern",
        "typeMigrationVersion": _DATA_VIEW,
    }


def _dashboard(prefix: str, panels: Sequence[dict[str, Any]]) -> dict[str, Any]:
    references = [
        {"id": one["id"], "name": f"{panel['panelIndex']}:{one['name']}", "type": one["type"]}
        for panel in panels
        for one in panel["embeddableConfig"]["attributes"]["references"]
    ]
    return {
        "attributes": {
            "controlGroupInput": {
                "chainingSystem": "HIERARCHICAL",
                "controlStyle": "oneLine",
                "ignoreParentSettingsJSON": _text(
                    dict.fromkeys(("ignoreFilters", "ignoreQuery", "ignoreTimerange", "ignoreValidations"), False)
                ),
                "panelsJSON": "{}",
                "showApplySelections": False,
            },
            "description": "Pools of Exia: calls, times, errors, saturation, and what was changed meanwhile.",
            "kibanaSavedObjectMeta": {"searchSourceJSON": _text({"query": _query("")})},
            "optionsJSON": _text(
                {
                    "hidePanelTitles": False,
                    "useMargins": True,
                    "syncColors": True,
                    "syncCursor": True,
                    "syncTooltips": True,
                }
            ),
            "panelsJSON": _text(panels),
            "timeRestore": False,
            "title": f"{prefix}: pools",
        },
        "coreMigrationVersion": _CORE,
        "id": _id(prefix, "dashboard"),
        "managed": False,
        "references": references,
        "type": "dashboard",
        "typeMigrationVersion": _DASHBOARD,
    }


def _panel(
    view: str,
    x: int,
    y: int,
    title: str,
    columns: Sequence[dict[str, Any]],
    *,
    query: str = _SAMPLES,
    split: bool | str = False,
    bars: bool = False,
    changes: bool = False,
) -> dict[str, Any]:
    """Return a chart over time, as a panel that holds all of itself."""
    own = _id(view, title)
    layer, when, by, lines = (_id(own, word) for word in ("layer", "time", "split", "changes"))
    known = {_id(own, column["label"]): column for column in columns}
    order = [*([by] if split else []), when, *known]
    kind = "bar_stacked" if bars else "line"
    drawn: dict[str, Any] = {
        "layerId": layer,
        "accessors": list(known),
        "position": "top",
        "seriesType": kind,
        "showGridlines": False,
        "layerType": "data",
        "xAccessor": when,
        **({"splitAccessor": by} if split else {}),
    }
    all_columns = {when: _over_time(), **known}
    if split:
        all_columns[by] = _terms(split if isinstance(split, str) else "exia.pool.name", next(iter(known)))
    references = [_reference(view, f"indexpattern-datasource-layer-{layer}")]
    layers = [drawn]
    if changes:
        layers.append(_annotations(lines))
        references.append(_reference(view, f"xy-visualization-layer-{lines}"))
    state = {
        "visualization": {
            "legend": {"isVisible": True, "position": "bottom"},
            "valueLabels": "hide",
            "fittingFunction": "None",
            "axisTitlesVisibilitySettings": {"x": False, "yLeft": False, "yRight": False},
            "tickLabelsVisibilitySettings": {"x": True, "yLeft": True, "yRight": True},
            "labelsOrientation": {"x": 0, "yLeft": 0, "yRight": 0},
            "gridlinesVisibilitySettings": {"x": False, "yLeft": True, "yRight": True},
            "preferredSeriesType": kind,
            "layers": layers,
        },
        "query": _query(query),
        "filters": [],
        "datasourceStates": {
            "formBased": {
                "layers": {
                    layer: {
                        "columns": all_columns,
                        "columnOrder": order,
                        "incompleteColumns": {},
                        "sampling": 1,
                        "indexPatternId": view,
                    }
                },
                "currentIndexPatternId": view,
            },
            "indexpattern": {"layers": {}, "currentIndexPatternId": view},
            "textBased": {"layers": {}},
        },
        "internalReferences": [],
        "adHocDataViews": {},
    }
    return {
        "type": "lens",
        "embeddableConfig": {
            "enhancements": {"dynamicActions": {"events": []}},
            "title": title,
            "syncColors": True,
            "syncCursor": True,
            "syncTooltips": True,
            "filters": [],
            "query": _query(query),
            "attributes": {
                "title": title,
                "visualizationType": "lnsXY",
                "type": "lens",
                "references": references,
                "state": state,
                "version": 1,
            },
        },
        "panelIndex": own,
        "gridData": {"x": x, "y": y, "w": 24, "h": 15, "i": own},
    }


def _annotations(layer: str) -> dict[str, Any]:
    return {
        "layerId": layer,
        "layerType": "annotations",
        "persistanceType": "byValue",  # as Kibana spells it
        "ignoreGlobalFilters": True,
        "annotations": [
            {
                "type": "query",
                "id": _id(layer, name),
                "label": label,
                "key": {"type": "point_in_time"},
                "icon": icon,
                "color": colour,
                "lineStyle": "dashed",
                "lineWidth": 1,
                "timeField": "@timestamp",
                "textVisibility": False,
                "extraFields": ["message", "user.name", "exia.params.version", "exia.pool.new"],
                "filter": {"type": "kibana_query", **_query(query)},
            }
            for name, query, label, colour, icon in _CHANGES
        ],
    }


def _over_time() -> dict[str, Any]:
    params = {"interval": "auto", "includeEmptyRows": True, "dropPartials": False}
    return _column("@timestamp", "date", "date_histogram", "@timestamp", params, bucketed=True)


def _terms(field: str, by: str) -> dict[str, Any]:
    params = {
        "size": 10,
        "orderBy": {"type": "column", "columnId": by},
        "orderDirection": "desc",
        "otherBucket": False,
        "missingBucket": False,
        "parentFormat": {"id": "terms"},
        "include": [],
        "exclude": [],
        "includeIsRegex": False,
        "excludeIsRegex": False,
    }
    return _column(f"Top 10 values of {field}", "string", "terms", field, params, bucketed=True)


def _sum(name: str, label: str, *, per_second: bool = False) -> dict[str, Any]:
    column = _column(label, "number", "sum", f"exia.pool.{name}", {"emptyAsNull": True})
    return column | ({"timeScale": "s"} if per_second else {})


def _max(field: str, label: str) -> dict[str, Any]:
    return _column(label, "number", "max", field, {"emptyAsNull": True})


def _quantiles(name: str) -> list[dict[str, Any]]:
    return [_max(f"exia.pool.{name}.{q}", q) for q in ("p50", "p95", "p99")]


def _percentile(n: int) -> dict[str, Any]:
    return _column(f"p{n}", "number", "percentile", "event.duration", {"percentile": n})


def _count() -> dict[str, Any]:
    return _column("Alerts", "number", "count", "___records___", {"emptyAsNull": True})


def _column(
    label: str, kind: str, operation: str, field: str, params: dict[str, Any], *, bucketed: bool = False
) -> dict[str, Any]:
    return {
        "label": label,
        "dataType": kind,
        "operationType": operation,
        "sourceField": field,
        "isBucketed": bucketed,
        "params": params,
        "customLabel": True,
    }


def _query(text: str) -> dict[str, Any]:
    return {"query": text, "language": "kuery"}


def _reference(view: str, name: str) -> dict[str, str]:
    return {"type": "index-pattern", "id": view, "name": name}


def _id(*words: str) -> str:
    """Return an id that is the same each time, so that a new import replaces the old one."""
    return str(uuid5(NAMESPACE_URL, "/".join(("exia", *words))))


def _text(value: dict[str, Any] | Iterable[Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
