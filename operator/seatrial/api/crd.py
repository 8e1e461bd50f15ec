"""The CustomResourceDefinition, made from the models and the rules.

Kubernetes takes a *structural* schema: no references, no unions, a type at every level. What pydantic
can say and a structural schema cannot is refused here, so that the API server never means something
else than the models do.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from seatrial.api.base import GROUP, KIND, PLURAL, VERSION
from seatrial.api.rules import RULES, Rule
from seatrial.api.spec import ModelDeploymentSpec
from seatrial.api.status import Status

Schema = dict[str, Any]
"""A part of an OpenAPI v3 schema, or a value that follows one."""

HASHED = ("spec.template", "spec.runtime", "spec.port", "spec.model.version")
"""The fields that make a revision. They never have a default: a default changed later would change every hash."""

COLUMNS = (
    ("Phase", ".status.phase", "string"),
    ("Weight", ".status.weight", "string"),
    ("Step", ".status.step", "string"),
    ("Stable", ".status.stable", "string"),
    ("Candidate", ".status.candidate", "string"),
    ("Message", ".status.message", "string"),
    ("Age", ".metadata.creationTimestamp", "date"),
)
"""What `kubectl get` shows: heading, path, type."""

_KEPT = frozenset(
    {
        "type", "description", "enum", "format", "pattern", "minLength", "maxLength", "minimum", "maximum",
        "multipleOf", "minItems", "maxItems", "minProperties", "maxProperties", "required",
    }
)  # fmt: skip
_NESTING = frozenset({"$defs", "properties", "items", "additionalProperties"})
_NULL = {"type": "null"}
_DEFAULT = "x-seatrial-default"
"""Carries a default through pydantic's own schema, where `default` holds what Python would use."""
_DROPPED = frozenset({"title", "default", _DEFAULT, "examples", "$comment", "deprecated"})


class InexpressibleError(ValueError):
    """A model says something that a structural schema has no words for. Names the path and the reason."""


class _WithDefaults(GenerateJsonSchema):
    """Pydantic's JSON schema, with each default as it looks on the wire beside its field."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        out = super().model_schema(schema)
        for name, default in wire_defaults(schema["cls"]).items():
            out["properties"][name][_DEFAULT] = default
        return out


def wire_defaults(model: type[BaseModel]) -> Schema:
    """The defaults of a model's fields as JSON, by their names on the wire.

    Nested objects hold only what the field itself sets (`Strategy()` is `{}`); their own defaults come
    with their own schema. A default that depends on other fields is left out, since a schema cannot say
    it; the field's description does.
    """
    fixed = {name for name, info in model.model_fields.items() if not _depends(info)}
    blank = model.model_construct(_fields_set=fixed)
    return blank.model_dump(
        mode="json",
        by_alias=True,
        exclude_none=True,
        exclude_unset=True,
        include={name for name in fixed if not model.model_fields[name].is_required()},
    )


def _depends(info: FieldInfo) -> bool:
    return info.default_factory is not None and bool(info.default_factory_takes_validated_data)


def structural(model: type[BaseModel], *, defaults: bool = True) -> Schema:
    """A model's structural schema; raises `InexpressibleError`."""
    generator = _WithDefaults if defaults else GenerateJsonSchema
    raw = model.model_json_schema(by_alias=True, mode="validation", schema_generator=generator)
    return _convert(raw, raw.get("$defs", {}), (), model.__name__)


def _convert(node: Mapping[str, Any], models: Mapping[str, Any], stack: tuple[str, ...], at: str) -> Schema:
    if "$ref" in node:
        name = node["$ref"].rsplit("/", 1)[-1]
        if name in stack:
            raise InexpressibleError(f"{at}: {name} contains itself")
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return _convert({**models[name], **beside}, models, (*stack, name), at)
    if "allOf" in node and len(node["allOf"]) == 1:
        beside = {key: value for key, value in node.items() if key != "allOf"}
        return _convert({**node["allOf"][0], **beside}, models, stack, at)
    if "anyOf" in node:
        return _convert({**_only_member(node["anyOf"], at), **_without_any_of(node)}, models, stack, at)

    out: Schema = {}
    for key, value in node.items():
        if key == "const":
            out["enum"] = [value]
        elif key == "description":
            out["description"] = " ".join(value.split())
        elif key == "exclusiveMinimum":
            out |= {"minimum": value, "exclusiveMinimum": True}
        elif key == "exclusiveMaximum":
            out |= {"maximum": value, "exclusiveMaximum": True}
        elif key.startswith("x-kubernetes-") or key in _KEPT:
            out[key] = value
        elif key not in _DROPPED | _NESTING:
            raise InexpressibleError(f"{at}: a structural schema has no {key}")
    if "type" not in out:
        raise InexpressibleError(f"{at}: it has no single type; give it optional members and a rule")
    if node.get("properties"):
        out["properties"] = {
            name: _convert(child, models, stack, f"{at}.{name}") for name, child in node["properties"].items()
        }
    if "items" in node:
        out["items"] = _convert(node["items"], models, stack, f"{at}[]")
    more = node.get("additionalProperties")
    if isinstance(more, Mapping) and "properties" in node:
        raise InexpressibleError(f"{at}: named fields beside a map")
    if isinstance(more, Mapping):
        out["additionalProperties"] = _convert(more, models, stack, f"{at}.*")
    elif more is True:
        out["x-kubernetes-preserve-unknown-fields"] = True
    if _DEFAULT in node:
        # Written out in full: the API server checks a default against the rules before it completes it.
        out["default"] = with_defaults(node[_DEFAULT], out)
        if not isinstance(out["default"], dict | list):
            # `kubectl explain` shows descriptions and no defaults.
            text = json.dumps(out["default"]).strip('"')
            out["description"] = f"{out.get('description', '')} Default: {text}.".strip()
    return out


def _only_member(members: list[Mapping[str, Any]], at: str) -> Mapping[str, Any]:
    """The `T` of `T | None`: absent means None, and the API server drops a null."""
    rest = [member for member in members if member != _NULL]
    if len(rest) != 1:
        kinds = [member.get("type", member.get("$ref", "?")) for member in rest]
        raise InexpressibleError(f"{at}: a union of {kinds}; give it optional members and a rule")
    return rest[0]


def _without_any_of(node: Mapping[str, Any]) -> Schema:
    return {key: value for key, value in node.items() if key != "anyOf"}


def walk(schema: Mapping[str, Any], at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every part of a schema with its path."""
    yield at, schema
    for name, child in schema.get("properties", {}).items():
        yield from walk(child, f"{at}.{name}" if at else name)
    if "items" in schema:
        yield from walk(schema["items"], f"{at}[]")
    if "additionalProperties" in schema:
        yield from walk(schema["additionalProperties"], f"{at}.*")


def unbounded(schema: Mapping[str, Any], at: str = "") -> list[str]:
    """Paths without a limit. The API server estimates what a rule may cost from the limits: none means too much."""
    found = []
    for path, node in walk(schema, at):
        kind = node.get("type")
        if (
            (kind == "array" and "maxItems" not in node)
            or (kind == "string" and not {"maxLength", "enum", "format"} & node.keys())
            or ("additionalProperties" in node and "maxProperties" not in node)
        ):
            found.append(path)
    return found


@functools.cache
def _object_schema() -> Schema:
    spec = structural(ModelDeploymentSpec)
    root: Schema = {
        "description": (
            "A machine-learning model behind one stable address. Every change to it is tried on live traffic, judged "
            "on evidence, and accepted or sent back."
        ),
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": f"{GROUP}/{VERSION}", "type": "string"},
            "kind": {"description": KIND, "type": "string"},
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 253}}},
            "spec": spec,
            # Status is written whole by the operator; the API server is not to add to it.
            "status": structural(Status, defaults=False),
        },
    }
    for rule in RULES:
        attach(root, rule)
    return root


def attach(root: Schema, rule: Rule) -> None:
    """Put a rule where it looks."""
    for path, node in walk(root, ""):
        if path == rule.at:
            assert isinstance(node, dict)
            node.setdefault("x-kubernetes-validations", []).append(rule.validation())
            return
    raise InexpressibleError(f"rule {rule.name} is about {rule.at}, which is not in the schema")


def object_schema() -> Schema:
    """The schema of the whole object, rules attached. Do not change it: it is shared."""
    return _object_schema()


def nodes() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every part of the schema with its path, as in `spec.analysis.checks[].max`."""
    yield from walk(object_schema(), "")


def node(path: str) -> Mapping[str, Any]:
    """The part of the schema that a path names; empty where there is none."""
    return next((found for at, found in nodes() if at == path), {})


def definition() -> Schema:
    """The whole CustomResourceDefinition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["md"],
                "categories": ["all"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path} for name, path, kind in COLUMNS
                    ],
                    "schema": {"openAPIV3Schema": object_schema()},
                },
            ],
        },
    }


def field_paths(schema: Mapping[str, Any] | None = None) -> list[str]:
    """Every field of the spec that holds a value and not more fields, as `spec.analysis.checks[].name`.

    A list or map of plain values is one field: `spec.traffic.hostnames`.
    """
    return list(_leaves((object_schema() if schema is None else schema)["properties"]["spec"], "spec"))


def _leaves(node: Mapping[str, Any], at: str) -> Iterator[str]:
    if "properties" in node:
        for name, child in node["properties"].items():
            yield from _leaves(child, f"{at}.{name}")
    elif "properties" in node.get("items", {}):
        yield from _leaves(node["items"], f"{at}[]")
    else:
        yield at


def without_nulls(value: Any, schema: Mapping[str, Any] | None = None) -> Any:
    """A copy of a spec in which nulls of known fields are gone, as the API server drops them."""
    schema = object_schema()["properties"]["spec"] if schema is None else schema
    return _stored(value, schema, defaults=False)


def with_defaults(value: Any, schema: Mapping[str, Any] | None = None) -> Any:
    """A copy of a whole object as the API server would store it: nulls dropped, defaults filled in."""
    return _stored(value, object_schema() if schema is None else schema, defaults=True)


def _stored(value: Any, schema: Mapping[str, Any], *, defaults: bool) -> Any:
    if isinstance(value, Mapping):
        known = schema.get("properties", {})
        out = {
            name: _stored(item, known.get(name, schema.get("additionalProperties", {})), defaults=defaults)
            for name, item in value.items()
            if item is not None or name not in known
        }
        for name, child in known.items():
            if defaults and name not in out and "default" in child:
                out[name] = _stored(child["default"], child, defaults=True)
        return out
    if isinstance(value, list):
        return [_stored(item, schema.get("items", {}), defaults=defaults) for item in value]
    return value
