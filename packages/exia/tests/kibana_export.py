"""The structure of what Kibana 9 exports: each key of each part, with the type of its value.

Taken from an export (data view and dashboard of panels by value, typeMigrationVersion 10.3.0) in the public
repository walterra/shc2es, dashboards/smart-home.ndjson; a dict stands for an object with just these keys, a tuple
for one with these keys at most, a list for an array of its only element.
"""

from __future__ import annotations

QUERY = {"query": str, "language": str}
REFERENCE = {"id": str, "name": str, "type": str}
_OBJECT = {
    "coreMigrationVersion": str, "id": str, "managed": bool, "references": [REFERENCE], "type": str,
    "typeMigrationVersion": str,
}  # fmt: skip

DATA_VIEW = _OBJECT | {
    "attributes": dict.fromkeys(
        (
            "fieldAttrs",
            "fieldFormatMap",
            "fields",
            "name",
            "runtimeFieldMap",
            "sourceFilters",
            "timeFieldName",
            "title",
        ),
        str,
    )
    | {"allowHidden": bool},
}

DASHBOARD = _OBJECT | {
    "attributes": {
        "controlGroupInput": {
            "chainingSystem": str, "controlStyle": str, "ignoreParentSettingsJSON": str, "panelsJSON": str,
            "showApplySelections": bool,
        },
        "description": str,
        "kibanaSavedObjectMeta": {"searchSourceJSON": str},
        "optionsJSON": str,
        "panelsJSON": str,
        "timeRestore": bool,
        "title": str,
    }
}  # fmt: skip

SEARCH_SOURCE = {"query": QUERY}
OPTIONS = dict.fromkeys(("hidePanelTitles", "useMargins", "syncColors", "syncCursor", "syncTooltips"), bool)

COLUMN = (
    {"label", "dataType", "operationType", "sourceField", "isBucketed", "params", "customLabel"},
    # Of the operations that the export has not: what Lens keeps of "normalize by unit".
    {"timeScale"},
)
DATA_LAYER = {
    "layerId", "accessors", "position", "seriesType", "showGridlines", "layerType", "colorMapping", "xAccessor",
    "splitAccessor",
}  # fmt: skip
#: Lens writes it so: elastic/kibana, x-pack lens, visualizations/xy/persistence.ts.
ANNOTATION_LAYER = {"layerId", "layerType", "persistanceType", "ignoreGlobalFilters", "annotations"}
VISUALIZATION = {
    "legend", "valueLabels", "fittingFunction", "curveType", "pointVisibility", "axisTitlesVisibilitySettings",
    "tickLabelsVisibilitySettings", "labelsOrientation", "gridlinesVisibilitySettings", "preferredSeriesType", "layers",
    "endValue", "emphasizeFitting", "yLeftExtent",
}  # fmt: skip
FORM_LAYER = {"columns", "columnOrder", "incompleteColumns", "sampling", "indexPatternId"}

PANEL = {
    "type": str,
    "embeddableConfig": {
        "enhancements": {"dynamicActions": {"events": list}},
        "title": str,
        "syncColors": bool,
        "syncCursor": bool,
        "syncTooltips": bool,
        "filters": list,
        "query": QUERY,
        "attributes": {
            "title": str,
            "visualizationType": str,
            "type": str,
            "references": [REFERENCE],
            "state": {
                "visualization": dict,
                "query": QUERY,
                "filters": list,
                "datasourceStates": {"formBased": dict, "indexpattern": dict, "textBased": dict},
                "internalReferences": list,
                "adHocDataViews": dict,
            },
            "version": int,
        },
    },
    "panelIndex": str,
    "gridData": {"x": int, "y": int, "w": int, "h": int, "i": str},
}

DETAILS = {
    "excludedObjects": list, "excludedObjectsCount": int, "exportedCount": int, "missingRefCount": int,
    "missingReferences": list,
}  # fmt: skip


def misfit(value, shape, path="") -> list[str]:
    """Return where `value` is not of `shape`."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{path} is no object"]
        odd = [f"{path}.{key}" for key in value.keys() ^ shape.keys()]
        return odd + [
            found for key in value.keys() & shape.keys() for found in misfit(value[key], shape[key], f"{path}.{key}")
        ]
    if isinstance(shape, list):
        return [found for one in value for found in misfit(one, shape[0], f"{path}[]")]
    return [] if type(value) is shape else [f"{path} is {type(value).__name__}"]
