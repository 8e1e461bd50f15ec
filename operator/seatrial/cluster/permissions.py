"""What the operator asks of the API server, for the chart's roles and the test that holds them together.

One entry is one right that some line of code uses. A right that nothing uses is a right too many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from seatrial.api.base import GROUP, PLURAL
from seatrial.api.policies import CLUSTER_POLICY_PLURAL, POLICY_PLURAL

GATEWAY_GROUP = "gateway.networking.k8s.io"

Scope = Literal["models", "gateways", "freezes", "house", "lease"]


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource.

    `models`: in every namespace that is watched (all of them, cluster-wide). `gateways`: wherever the
    Gateways are; the operator says so in status where it lacks it. `freezes`: on the namespaces that are watched,
    and the operator's own; without it nothing can be frozen. `house`: rules for the whole cluster; without it no new
    trial begins. `lease`: in the Lease's namespace.
    """

    group: str
    resource: str
    verb: str
    scope: Scope


def _rights(group: str, resource: str, verbs: str, scope: Scope = "models") -> tuple[Right, ...]:
    return tuple(Right(group, resource, verb, scope) for verb in verbs.split())


RIGHTS: tuple[Right, ...] = (
    # The resource itself: its spec is never written; the finalizer is, where a team's own route is steered.
    *_rights(GROUP, PLURAL, "get list watch patch"),
    *_rights(GROUP, f"{PLURAL}/status", "patch"),
    # blockOwnerDeletion in our ownerReferences, where OwnerReferencesPermissionEnforcement is on.
    *_rights(GROUP, f"{PLURAL}/finalizers", "update"),
    # What it owns.
    *_rights("apps", "deployments", "get list watch create update patch delete"),
    *_rights("apps", "controllerrevisions", "get list watch create update delete"),
    *_rights("", "services", "get list watch create update delete"),
    *_rights("policy", "poddisruptionbudgets", "get list watch create update delete"),
    *_rights(GATEWAY_GROUP, "httproutes", "get list watch create update patch delete"),
    # What it only looks at.
    *_rights("", "pods", "list watch"),
    *_rights("", "configmaps", "get"),
    *_rights("discovery.k8s.io", "endpointslices", "list"),
    *_rights(GATEWAY_GROUP, "gateways", "get list watch", "gateways"),
    *_rights(GATEWAY_GROUP, "gatewayclasses", "get", "gateways"),
    *_rights("", "namespaces", "list watch", "freezes"),
    # House rules, which people write.
    *_rights(GROUP, POLICY_PLURAL, "list watch"),
    *_rights(GROUP, CLUSTER_POLICY_PLURAL, "list watch", "house"),
    *_rights("", "events", "create"),
    *_rights("coordination.k8s.io", "leases", "get create update", "lease"),
)

PERMISSIONS = frozenset(
    (right.group, right.resource, right.verb) for right in RIGHTS if not right.resource.endswith("/finalizers")
)
"""(group, resource, verb) of every call. The right on finalizers is admission's to ask for; no call carries it."""
