"""The revision: a hash over what the user wrote, by an algorithm that is frozen.

The hash decides what a change is. It is taken over the user's input as the API server stores it, never
over anything the operator derives, so that a new operator version cannot turn every model into a new
revision. A field that is hashed later enters only where it is set, which leaves old hashes as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

ALGORITHM = "v1"


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: object, length: int) -> str:
    """The first `length` hex digits of a value's SHA-256."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]


def revision_input(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a stored spec that makes a revision."""
    out: dict[str, Any] = {"template": spec["template"]}
    for key in ("runtime", "port"):
        if key in spec:
            out[key] = spec[key]
    version = (spec.get("model") or {}).get("version")
    if version is not None:
        out["model"] = {"version": version}
    return out


def revision(spec: Mapping[str, Any]) -> str:
    """The revision of a stored spec: ten hex digits."""
    return digest([ALGORITHM, revision_input(spec)], 10)
