"""`seatrial get NAME --effective`: the spec that a model runs with, and where each value comes from.

Everything needed is on the object itself: its own spec, and the house rules in its status. So whoever may read a model may
know by what it is judged, without a right on anybody's policies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from seatrial.api.spec import ModelDeploymentSpec
from seatrial.api.status import HouseRules
from seatrial.cli import raw
from seatrial.cli.errors import USAGE, CliError
from seatrial.core.house import Effective, merged, remembered

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """A model's spec with its house rules in it."""

    object: dict[str, Any]
    """A ModelDeployment that says by itself what this one runs with."""
    origins: Mapping[str, str]
    """By path under `spec`."""
    conflicts: tuple[str, ...]


def read(obj: Object) -> Effective:
    """The spec with the house rules of its status in it. Raises ValidationError where one of another version is read."""
    metadata = raw.mapping(obj, "metadata")
    spec = ModelDeploymentSpec.model_validate(raw.mapping(obj, "spec"))
    entries = [
        HouseRules.model_construct(policy=raw.text(entry, "policy"), rules=str(entry.get("rules", "")))
        for entry in raw.mappings(raw.mapping(obj, "status"), "house")
    ]
    policies = [policy for entry in entries if (policy := remembered(entry)) is not None]
    return merged(spec, f"{raw.text(metadata, 'namespace')}/{raw.text(metadata, 'name')}", policies)


def spec_of(obj: Object) -> Mapping[str, Any]:
    """The same, read forgivingly: the resource's own spec where its house rules cannot be put into it."""
    own = raw.mapping(obj, "spec")
    try:
        return {**own, **read(obj).spec.wire()}
    except ValidationError:
        return own


def show(obj: Object) -> Shown:
    """What is printed."""
    metadata = raw.mapping(obj, "metadata")
    try:
        out = read(obj)
    except ValidationError as error:
        raise CliError(
            f"ModelDeployment {raw.text(metadata, 'name')} is of another version than this seatrial, which does not "
            f"understand {len(error.errors())} of its fields: use the seatrial of the operator's version",
            USAGE,
        ) from None
    named = {key: raw.text(metadata, key) for key in ("name", "namespace") if raw.text(metadata, key)}
    whole = {
        "apiVersion": obj.get("apiVersion"),
        "kind": obj.get("kind"),
        "metadata": named,
        "spec": out.spec.wire(),
    }
    return Shown(whole, out.origins, out.conflicts)


def as_json(shown: Shown) -> str:
    """For programs: the object, where values come from, and what does not go together."""
    whole = {"object": shown.object, "origins": dict(shown.origins), "conflicts": list(shown.conflicts)}
    return json.dumps(whole, indent=2, ensure_ascii=False)


def as_yaml(shown: Shown) -> str:
    """For people: YAML, with a comment at each value that is not the resource's own."""
    name = "/".join(shown.object["metadata"].get(key, "") for key in ("namespace", "name")).lstrip("/")
    head = [f"# What ModelDeployment {name} runs with. A value without a comment is its own, or Seatrial's default."]
    head += [f"# Conflict: {sentence}" for sentence in shown.conflicts]
    comments = {f"spec.{path}": text for path, text in shown.origins.items()}
    return "\n".join([*head, *_lines(shown.object, "", "", comments)])


def _lines(value: Any, at: str, indent: str, comments: Mapping[str, str]) -> Iterator[str]:
    """A mapping or a list, block by block."""
    keyed = isinstance(value, Mapping)
    for key, item in value.items() if keyed else enumerate(value):
        path = (f"{at}.{key}" if at else str(key)) if keyed else f"{at}[{key}]"
        begin = f"{indent}{_scalar(key)}:" if keyed else f"{indent}-"
        comment = f"  # {comments[path]}" if path in comments else ""
        if not isinstance(item, Mapping | list) or not item:
            yield f"{begin} {_scalar(item)}{comment}"
            continue
        inner = list(_lines(item, path, f"{indent}  ", comments))
        if keyed or isinstance(item, list) or comment:
            yield f"{begin}{comment}"
            yield from inner
        else:
            yield f"{begin} {inner[0].lstrip()}"
            yield from inner[1:]


def _scalar(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9)
    return text.removesuffix("...\n").strip()
