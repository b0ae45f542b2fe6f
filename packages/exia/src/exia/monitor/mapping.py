"""The types of the fields in Elasticsearch: those of ECS, and our own below ``exia``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WORD = {"type": "keyword", "ignore_above": 1024}
_WHOLE = {"type": "long"}
_NUMBER = {"type": "double"}
_QUANTILES = {"properties": {"p50": _WHOLE, "p95": _WHOLE, "p99": _WHOLE}}

#: Figures of a sample that are whole numbers.
COUNTS = (
    "generation", "max_size", "size", "in_use", "idle", "waiting", "leases", "calls", "errors", "timeouts", "refused",
    "failures", "created", "leaked",
)  # fmt: skip
#: Those that are not.
RATES = ("saturation", "interval", "calls_per_second", "share")

PROPERTIES: dict[str, Any] = {
    "@timestamp": {"type": "date"},
    "message": {"type": "text"},
    "ecs": {"properties": {"version": _WORD}},
    "event": {
        "properties": {
            **dict.fromkeys(("id", "kind", "module", "dataset", "action", "outcome"), _WORD),
            "duration": _WHOLE,
            "sequence": _WHOLE,
        }
    },
    "service": {"properties": {"name": _WORD}},
    "host": {"properties": {"name": _WORD}},
    "process": {"properties": {"pid": _WHOLE, "thread": {"properties": {"id": _WHOLE}}}},
    "user": {"properties": {"name": _WORD}},
    "trace": {"properties": {"id": _WORD}},
    "log": {"properties": {"level": _WORD}},
    "error": {
        "properties": {"type": _WORD, "message": {"type": "text"}, "stack_trace": {"type": "keyword", "index": False}}
    },
    "exia": {
        "properties": {
            "pool": {
                "properties": {
                    **dict.fromkeys(("name", "version", "old", "new", "cause", "reason", "settings"), _WORD),
                    **dict.fromkeys(COUNTS, _WHOLE),
                    **dict.fromkeys(RATES, _NUMBER),
                    "wait": _QUANTILES,
                    "hold": _QUANTILES,
                }
            },
            "params": {"properties": {"name": _WORD, "version": _WHOLE, "reason": _WORD}},
            "monitor": {"properties": {"lost": _WHOLE}},
        }
    },
}


def index_template(prefix: str, settings: Mapping[str, int]) -> dict[str, Any]:
    """Return the index template of the daily indices ``<prefix>-YYYY.MM.DD``.

    Parameters
    ----------
    settings
        ``shards`` and ``replicas``, where they are not the server's own.
    """
    numbers = {f"number_of_{name}": value for name, value in settings.items()}
    return {
        "index_patterns": [f"{prefix}-*"],
        "priority": 200,
        "template": {
            **({"settings": {"index": numbers}} if numbers else {}),
            "mappings": {
                # A user's fields: a whole number today may have a fraction tomorrow, or be a text.
                "dynamic_templates": [
                    {
                        "numbers": {
                            "path_match": "exia.data.*",
                            "match_mapping_type": ["long", "double"],
                            "mapping": {**_NUMBER, "ignore_malformed": True},
                        }
                    },
                    {"texts": {"match_mapping_type": "string", "mapping": _WORD}},
                ],
                "date_detection": False,
                "properties": PROPERTIES,
            },
        },
        "meta": {"made_by": "exia", "version": 1},
    }
