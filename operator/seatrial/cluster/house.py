"""House rules as they are heard of: policies are few and are watched whole, and namespaces by their labels.

Whom an edit concerns is woken. What holds for a namespace is read from memory, by the pass that looks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from seatrial.api.policies import LabelExpression, NamespaceSelector, SelectorOperator
from seatrial.core.house import Heard, Known, Policy, parse
from seatrial.core.state import Manifest

Key = tuple[str, str]
"""Namespace and name of a ModelDeployment."""


@dataclass(slots=True)
class House:
    """All policies, and the labels by which they choose."""

    keys: Collection[Key]
    """All resources, whom a change may concern."""
    _policies: dict[str, Heard] = field(default_factory=dict)
    """By uid."""
    _labels: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Of namespaces."""
    _unread: dict[str, str] = field(default_factory=dict)
    """By stream: why it cannot be read."""

    def note(self, manifest: Manifest) -> None:
        """Take note of a policy as it is now."""
        self._policies[str(manifest["metadata"]["uid"])] = parse(manifest)

    def forget(self, uid: str) -> set[Key]:
        """A policy is gone; returns whom that may concern."""
        heard = self._policies.pop(uid, None)
        return set() if heard is None else {key for key in self.keys if heard.namespace in (None, key[0])}

    def note_namespace(self, manifest: Manifest) -> None:
        """Take note of a namespace's labels."""
        self._labels[str(manifest["metadata"]["name"])] = labels_of(manifest)

    def concerned(self, manifest: Manifest) -> set[Key]:
        """Whom a change of a policy may concern: as it was, as it is and as it will be."""
        namespace = manifest["metadata"].get("namespace") or None
        return {key for key in self.keys if namespace in (None, key[0])}

    def heeded(self, namespace: Manifest) -> dict[str, str]:
        """The labels of a namespace, where some policy looks at labels: else a change of them is news to nobody."""
        return labels_of(namespace) if self._choose_by_label() else {}

    def concerned_by(self, namespace: Manifest) -> set[Key]:
        """Whom a change of a namespace's labels may concern."""
        if not self._choose_by_label():
            return set()
        return {key for key in self.keys if key[0] == namespace["metadata"]["name"]}

    def _choose_by_label(self) -> bool:
        return any(heard.selector is not None for heard in self._policies.values())

    def told(self, stream: str, problem: str) -> set[Key]:
        """A stream of policies or of namespaces cannot be read, or can again (empty); returns whom that concerns."""
        before = stream in self._unread
        if problem:
            self._unread[stream] = f"house rules cannot be read, give the operator the rights of its chart: {problem}"
        else:
            self._unread.pop(stream, None)
        return set(self.keys) if bool(problem) != before else set()

    def of(self, namespace: str) -> Known:
        """What is known, seen from a namespace."""
        in_force, exist, unread = [], set(), list(self._unread.values())
        for heard in sorted(self._policies.values(), key=lambda one: one.ref):
            if heard.namespace not in (None, namespace):
                continue
            named = heard.ref.replace("/", " ", 1)
            if heard.spec is None:
                unread.append(f"{named} is not understood: {heard.problem}")
                continue
            if heard.selector is not None and namespace not in self._labels:
                unread.append(f"{named} chooses namespaces by label, and those of {namespace} are not known yet")
                continue
            exist.add(heard.ref)
            if heard.selector is None or chooses(heard.selector, self._labels[namespace]):
                in_force.append(Policy(heard.ref, heard.spec))
        return Known(tuple(in_force), frozenset(exist), unread[0] if unread else "")


def labels_of(manifest: Manifest) -> dict[str, str]:
    """The labels of an object."""
    return {str(key): str(value) for key, value in (manifest["metadata"].get("labels") or {}).items()}


def chooses(selector: NamespaceSelector, labels: Mapping[str, str]) -> bool:
    """Whether a selector chooses what has these labels."""
    return all(labels.get(key) == value for key, value in (selector.match_labels or {}).items()) and all(
        _holds(expression, labels) for expression in selector.match_expressions or ()
    )


def _holds(expression: LabelExpression, labels: Mapping[str, str]) -> bool:
    value = labels.get(expression.key)
    match expression.operator:
        case SelectorOperator.IN:
            return value is not None and value in (expression.values or ())
        case SelectorOperator.NOT_IN:  # as everywhere in Kubernetes: who has no such label is not in either
            return value not in (expression.values or ())
        case SelectorOperator.EXISTS:
            return value is not None
        case SelectorOperator.DOES_NOT_EXIST:
            return value is None
