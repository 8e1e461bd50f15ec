"""Freezes: annotations on namespaces with which people stop every rise of exposure, of one namespace or of all.

They are heard of through one metadata-only watch. Where it is forbidden nothing is ever frozen, and models go on.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from seatrial.build.names import FREEZE, FREEZE_CLUSTER
from seatrial.core.state import Manifest

Key = tuple[str, str]
"""Namespace and name of a ModelDeployment."""
LONGEST = 300
"""Characters of a reason that are told."""


@dataclass(slots=True)
class Freezes:
    """What is frozen now."""

    home: str
    """The namespace the operator runs in, whose annotation freezes the whole cluster; empty where it has none."""
    on_trial: AbstractSet[Key]
    """The resources that a freeze, or its end, is news to: whoever is at rest hears of it when he begins."""
    _reasons: dict[tuple[str, str], str] = field(default_factory=dict)
    """By annotation and namespace."""

    def note(self, namespace: Manifest) -> None:
        """Take note of a namespace as it is now."""
        said = said_of(namespace)
        for annotation in (FREEZE, FREEZE_CLUSTER):
            at = (annotation, namespace["metadata"]["name"])
            if annotation in said:
                self._reasons[at] = " ".join(said[annotation].split())[:LONGEST] or "no reason is given"
            else:
                self._reasons.pop(at, None)

    def concerned(self, namespace: Manifest) -> set[Key]:
        """Whom a change of a namespace's freeze concerns."""
        name = namespace["metadata"]["name"]
        return {key for key in self.on_trial if name in (key[0], self.home)}

    def of(self, namespace: str) -> str:
        """What is frozen, by what and why, as far as it concerns a namespace: a sentence, or empty."""
        if (why := self._reasons.get((FREEZE_CLUSTER, self.home))) is not None:
            return f"the cluster is frozen by the annotation {FREEZE_CLUSTER} of namespace {self.home}: {why}"
        if (why := self._reasons.get((FREEZE, namespace))) is not None:
            return f"namespace {namespace} is frozen by its annotation {FREEZE}: {why}"
        return ""


def said_of(namespace: Manifest) -> dict[str, str]:
    """What is said of freezes on a namespace."""
    found = namespace["metadata"].get("annotations") or {}
    return {name: str(found[name]) for name in (FREEZE, FREEZE_CLUSTER) if name in found}
