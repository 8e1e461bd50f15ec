"""The copy of a stable revision that a drill sends back.

It is a revision of its own, with a name of its own that begins with nobody else's: queries select a revision's pods by
the beginning of their names. The name follows from the stable revision's, so that it is known whatever was lost.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from seatrial.build.names import DRILL_LABEL, child_name, labels, selector
from seatrial.build.revision import digest


def drill_revision(stable: str) -> str:
    """The name of a stable revision's copy: ten hex digits, like any revision's."""
    return digest(["drill", stable], 10)


def drill_deployment(model: str, stable: str, deployment: Mapping[str, Any]) -> dict[str, Any]:
    """The copy's Deployment: stable's own but for what tells the two apart."""
    name = drill_revision(stable)
    told = {**labels(model, name), DRILL_LABEL: stable}
    out = copy.deepcopy(dict(deployment))
    out["metadata"] |= {"name": child_name(model, name), "labels": told}
    out["spec"]["selector"] = {"matchLabels": selector(model, name)}
    pod = out["spec"]["template"].setdefault("metadata", {})
    pod["labels"] = {**(pod.get("labels") or {}), **told}
    return out
