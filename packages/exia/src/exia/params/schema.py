"""What parameters may be: a pydantic model, a JSON Schema, or what an algorithm's constructor takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from exia._house.errors import nearest
from exia.errors import BadInput, InvalidParams


class Schema:
    """A JSON Schema, with the pydantic model that it was made from where that is at hand.

    Parameters
    ----------
    document
        The JSON Schema of one object. A name that it does not list is refused, unless it says
        ``additionalProperties`` itself: a mistyped name must not be kept without an effect.
    model
        A pydantic model whose own rules are asked as well.
    """

    def __init__(self, document: Mapping[str, Any], model: Any = None) -> None:
        self.document = dict(document)
        self.document.setdefault("additionalProperties", False)
        self.model = model
        if self.document.get("type") != "object":
            raise BadInput("the schema is not of an object", hint='{"type": "object", "properties": {...}}')
        try:
            self._validator = _validator(json.dumps(self.document, allow_nan=False))
        except (TypeError, ValueError) as exc:
            if isinstance(exc, BadInput):
                raise
            raise BadInput(f"the schema is no JSON: {exc}", hint="give a pydantic model, or a JSON Schema") from None

    @classmethod
    def of(cls, source: Any) -> Schema:
        """Return the schema that `source` gives.

        Parameters
        ----------
        source
            A `Schema`, a JSON Schema as a mapping, a pydantic model, another class or callable
            (its constructor's arguments with their types), or a ref such as ``momentum@1.2.0``.

        Raises
        ------
        BadInput
            If it gives none.
        """
        if isinstance(source, Schema):
            return source
        if isinstance(source, Mapping):
            return cls(source)
        if isinstance(source, str):
            from exia.loading import load

            loaded = load(source)
            told = getattr(loaded, "parameters", None)
            return cls(told) if told is not None else cls.of(loaded.factory)
        if hasattr(source, "model_json_schema"):
            return cls(source.model_json_schema(), source)
        if callable(source):
            made = _model_of(source)
            return cls(made.model_json_schema())
        raise BadInput(f"{source!r} is no schema", hint="give a pydantic model, a JSON Schema, a class or a ref")

    def checked(self, values: Mapping[str, Any], what: str) -> dict[str, Any]:
        """Return `values` with the defaults of those that are missing.

        Raises
        ------
        InvalidParams
            If one breaks a rule; its ``problems`` name the field, the rule and the value of each.
        """
        properties = self.document.get("properties", {})
        filled = {k: p["default"] for k, p in properties.items() if isinstance(p, dict) and "default" in p}
        filled |= values
        problems = [_problem(error) for error in self._validator.iter_errors(filled)]
        if not problems and self.model is not None:
            problems = _asked(self.model, filled)
        if problems:
            first = problems[0]
            unknown = first["rule"] == "unknown name"
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            said = f"there is no {first['field']}" if unknown else f"{first['field']} is {_short(first['value'])}"
            rule = "" if unknown else f", and the rule is: {first['rule']}"
            raise InvalidParams(
                f"{what}: {said}{rule}{more}",
                problems=problems,
                hint=(nearest(str(first["field"]), properties) if unknown else None)
                or f"it takes {', '.join(properties) or 'nothing'}",
            )
        return filled

    def instance(self, values: Mapping[str, Any]) -> Any:
        """Return `values` as an object of the pydantic model, None if there is none."""
        return None if self.model is None else self.model.model_validate(dict(values))


@lru_cache(maxsize=256)
def _validator(text: str) -> Any:
    """Return what asks the rules; a schema is checked once, not at each change of a value (1 ms)."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    document = json.loads(text)
    try:
        Draft202012Validator.check_schema(document)
    except SchemaError as exc:
        raise BadInput(
            f"the schema is no JSON Schema: {exc.message}", hint="give a pydantic model, or a JSON Schema"
        ) from None
    return Draft202012Validator(document)


def _problem(error: Any) -> dict[str, Any]:
    path = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = set(error.schema.get("properties", {}))
        name = next((k for k in error.instance if k not in known), "?")
        return {"field": f"{path}.{name}" if path else name, "rule": "unknown name", "value": error.instance.get(name)}
    if error.validator == "required":
        name = next((k for k in error.validator_value if k not in error.instance), "?")
        return {"field": f"{path}.{name}" if path else name, "rule": "required", "value": None}
    if error.validator in ("anyOf", "oneOf"):
        return {"field": path or "values", "rule": error.message, "value": error.instance}
    return {
        "field": path or "values",
        "rule": f"{error.validator} {_short(error.validator_value)}",
        "value": error.instance,
    }


def _asked(model: Any, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    from pydantic import ValidationError

    try:
        model.model_validate(dict(values))
    except ValidationError as exc:
        return [
            {"field": ".".join(map(str, e["loc"])) or "values", "rule": e["msg"], "value": e["input"]}
            for e in exc.errors(include_url=False)
        ]
    return []


def _model_of(target: Any) -> Any:
    """Return a pydantic model of what `target` is called with."""
    import inspect

    from pydantic import ConfigDict, PydanticUserError, create_model

    try:
        signature = inspect.signature(target, eval_str=True)
    except (ValueError, TypeError, NameError) as exc:
        raise BadInput(f"{target!r} does not say what it takes: {exc}", hint="give a pydantic model instead") from None
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    fields = {
        p.name: (_kind(p), ... if p.default is p.empty else p.default)
        for p in signature.parameters.values()
        if p.kind in plain
    }
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.parameters.values())
    config = ConfigDict(extra="allow" if open_ended else "forbid", arbitrary_types_allowed=False)
    try:
        made: Any = create_model("Params", __config__=config, **fields)  # type: ignore[call-overload]
        made.model_json_schema()
    except (PydanticUserError, TypeError, NameError) as exc:
        reason = str(exc).partition("\n")[0]
        raise BadInput(
            f"{target!r} takes what JSON cannot say: {reason}", hint="give a pydantic model instead"
        ) from None
    return made


def _kind(parameter: Any) -> Any:
    if parameter.annotation is not parameter.empty:
        return parameter.annotation
    # Without an annotation a plain default tells the type.
    return type(parameter.default) if type(parameter.default) in (bool, int, float, str) else Any


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
