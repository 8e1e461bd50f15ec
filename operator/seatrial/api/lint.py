"""What is wrong with a ModelDeployment or a policy, found without a cluster.

The same answers as the API server gives at admission, for all problems at once and with the sentence
a person needs, and warnings about what is allowed and regretted later.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from seatrial.api import crd, policy_crd, rules
from seatrial.api.base import API_VERSION, GROUP, KIND, Model
from seatrial.api.hints import HINTS, Hint
from seatrial.api.policies import POLICY_KINDS
from seatrial.api.policy_rules import rules_of
from seatrial.api.spec import ModelDeploymentSpec

_TOP = ("apiVersion", "kind", "metadata", "spec", "status")


class Severity(StrEnum):
    """What a finding means."""

    ERROR = "error"
    """The API server or the operator will refuse this."""
    WARNING = "warning"
    """This is accepted, and something about it is weaker than it could be."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to correct, or to know."""

    path: str
    """The field, list indices included: `spec.analysis.checks[1].max`."""
    message: str
    """The sentence for a person."""
    severity: Severity = Severity.ERROR
    """Whether this is refused."""


@dataclass(frozen=True, slots=True)
class _Book:
    """What is known of one kind."""

    model: type[Model]
    """Its spec."""
    schema: crd.Schema
    rules: tuple[rules.Rule, ...]
    example: str
    """A name such a thing may have."""
    begin: str
    """With which fields a spec begins."""
    hints: tuple[Hint, ...] = ()

    def node(self, path: str) -> Mapping[str, Any]:
        """The part of the schema that a path names; empty where there is none."""
        return next((found for at, found in crd.walk(self.schema, "") if at == path), {})


def _book(kind: object) -> _Book:
    if kind in POLICY_KINDS:
        name = str(kind)
        return _Book(
            policy_crd.MODELS[name],
            policy_crd.schema_of(name),
            rules_of(name),
            "house-rules",
            "spec.checks or spec.require",
        )
    begin = "spec.template and spec.traffic.hostnames"
    return _Book(ModelDeploymentSpec, crd.object_schema(), rules.RULES, "iris", begin, HINTS)


def is_model(document: object) -> bool:
    """Whether a document means to be a ModelDeployment, of whatever version."""
    return is_ours(document) and isinstance(document, Mapping) and document["kind"] == KIND


def is_ours(document: object) -> bool:
    """Whether a document means to be a ModelDeployment or a policy, of whatever version."""
    return (
        isinstance(document, Mapping)
        and document.get("kind") in (KIND, *POLICY_KINDS)
        and str(document.get("apiVersion", "")).split("/")[0] == GROUP
    )


def lint(document: Mapping[str, Any]) -> list[Finding]:
    """Everything to say about one object, in the order of its fields where they have one."""
    book = _book(document.get("kind"))
    findings = [*_head(document, book), *_fields(document, book), *_repetitions(document, book)]
    stored = crd.with_defaults(document, book.schema)
    # A name that is missing or no text has its own finding; the rules about it would stumble.
    found = rules.broken(stored, trusting=not findings, among=book.rules)
    findings += [Finding(one.path, one.message) for one in found]
    findings += _warnings(stored, book)
    return findings


def _head(document: Mapping[str, Any], book: _Book) -> Iterator[Finding]:
    version = document.get("apiVersion")
    if version != API_VERSION:
        yield Finding("apiVersion", f"this seatrial knows {API_VERSION}, and not {version}: correct it")
    for field in document:
        if field not in _TOP:
            yield Finding(str(field), _unknown(str(field), _TOP))
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str) or not name:
        yield Finding("metadata.name", f"the name is missing: give it a name, such as {book.example}")


def _fields(document: Mapping[str, Any], book: _Book) -> Iterator[Finding]:
    spec = document.get("spec")
    if not isinstance(spec, Mapping):
        yield Finding("spec", f"the spec is missing: begin with {book.begin}")
        return
    try:
        # As JSON and strict, because that is how the API server reads it: "3" is no number, `yes` no truth.
        plain = crd.without_nulls(spec, book.schema["properties"]["spec"])
        book.model.model_validate_json(json.dumps(plain), strict=True)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            yield Finding(_path(detail["loc"]), _sentence(detail, book))


def _path(location: tuple[int | str, ...]) -> str:
    out = "spec"
    for part in location:
        out += f"[{part}]" if isinstance(part, int) else f".{part}"
    return out


def _sentence(detail: ErrorDetails, book: _Book) -> str:
    """Pydantic's message in the words of this project."""
    context = detail.get("ctx", {})
    kind = detail["type"]
    given = json.dumps(detail["input"], default=str, ensure_ascii=False)
    if kind == "missing":
        path = re.sub(r"\[\d+\]", "[]", _path(detail["loc"]))
        meaning = book.node(path).get("description", "")
        return f"this field is required: {meaning[:1].lower()}{meaning[1:]}".rstrip(": ")
    if kind == "extra_forbidden":
        parent = re.sub(r"\[\d+\]", "[]", _path(detail["loc"][:-1]))
        return _unknown(str(detail["loc"][-1]), book.node(parent).get("properties", {}))
    if kind == "string_pattern_mismatch":
        return f"{given} does not have the form {context['pattern']}"
    if kind == "value_error":
        return str(context["error"])
    return f"{given} cannot be: {detail['msg'][:1].lower()}{detail['msg'][1:]}"


def _unknown(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    meant = f"did you mean {near[0]}?" if near else f"known here are {', '.join(known) or 'none'}"
    return f"there is no field {name}; {meant}"


def _repetitions(document: Mapping[str, Any], book: _Book) -> Iterator[Finding]:
    """Items that the schema wants only once: by key in a map-like list, by value in a set-like one."""
    for at, schema in crd.walk(book.schema, ""):
        kind = schema.get("x-kubernetes-list-type")
        if kind not in {"map", "set"}:
            continue
        keys = schema.get("x-kubernetes-list-map-keys", [])
        for path, items in rules.instances(document, at):
            if not isinstance(items, list):
                continue
            seen: list[object] = []
            for index, item in enumerate(items):
                identity = [item.get(key) for key in keys] if keys and isinstance(item, Mapping) else item
                if identity in seen:
                    what = ", ".join(str(part) for part in identity) if isinstance(identity, list) else identity
                    yield Finding(f"{path}[{index}]", f"{what} is here twice: rename or remove one")
                seen.append(identity)


def _warnings(document: Mapping[str, Any], book: _Book) -> Iterator[Finding]:
    for hint in book.hints:
        for path, found in rules.instances(document, hint.at):
            if hint.holds(found):
                yield Finding(f"{path}{hint.blame}", hint.say(found), Severity.WARNING)
