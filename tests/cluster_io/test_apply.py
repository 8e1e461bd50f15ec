"""Looking and writing: only what differs, only what is ours, and the way back to what shall be."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from seatrial.api.status import Status
from seatrial.build.names import owner_reference
from seatrial.build.overlay import owned
from seatrial.cluster.apply import Applier
from seatrial.cluster.client import Client
from seatrial.cluster.errors import Conflict
from seatrial.cluster.index import Index
from seatrial.cluster.kinds import (
    DEPLOYMENT,
    GATEWAY,
    HTTP_ROUTE,
    MODEL_DEPLOYMENT,
    POD,
    POD_DISRUPTION_BUDGET,
    SERVICE,
)
from seatrial.cluster.ledger import Ledger
from seatrial.cluster.observe import Observer, View
from seatrial.cluster.status import store
from seatrial.core.outcome import ApplyOutcome
from seatrial.core.state import Installation, Plan, Ref
from tests.cluster_io.conftest import Plane
from tests.cluster_io.objects import accepted, budget, deployment, gateway, model, record, route, service
from tests.support.fakeapi import Refusal

Manifest = dict[str, Any]
CHILD = "fraud-e04d5521aa"


@dataclass
class Shell:
    """Looks and writes as one process does; `restart` is another process."""

    plane: Plane
    client: Client
    ledger: Ledger
    resource: Manifest

    @classmethod
    async def start(cls, plane: Plane, client: Client) -> Shell:
        made = await client.create(model(plane.namespace))
        return cls(plane, client, Ledger(), made)

    def restart(self) -> None:
        self.ledger = Ledger()

    async def look(self) -> View:
        installation = Installation()
        observer = Observer(self.client, installation, Index(installation), self.ledger)
        view = await observer.look((self.plane.namespace, "fraud"))
        assert view is not None
        return view

    async def apply(self, *objects: Manifest, prune: Sequence[Ref] = (), save: bool = True) -> ApplyOutcome:
        """One pass that wants these objects; its status is stored as a pass does."""
        view = await self.look()
        plan = Plan(apply=objects, prune=tuple(prune), status=view.observed.status)
        outcome = await Applier(self.client, self.ledger).apply(view, plan)
        if save:
            status = view.observed.status.model_copy(update={"written": list(outcome.written)})
            await store(self.client, view.resource, status)
        return outcome

    def everything(self, weights: tuple[int, int] = (1_000_000, 0), replicas: int = 2) -> tuple[Manifest, ...]:
        space = self.plane.namespace
        wanted = deployment(space, CHILD, replicas)
        services = (service(space), service(space, CHILD))
        return (record(space, wanted), wanted, *services, budget(space, wanted), route(space, weights))


@pytest.fixture
async def shell(plane: Plane, client: Client) -> Shell:
    return await Shell.start(plane, client)


async def edit(shell: Shell, kind: Any, name: str, change: Any) -> Manifest:
    """What a person with kubectl does."""
    found = await shell.client.get(kind, shell.plane.namespace, name)
    before = copy.deepcopy(found)
    change(found)
    assert found != before
    async with shell.plane.client(manager="kubectl-edit") as person:
        return await person.replace(found)


async def test_objects_are_created_with_their_owner_and_then_left_alone(shell: Shell) -> None:
    outcome = await shell.apply(*shell.everything())
    assert outcome.changed
    assert not outcome.failures
    assert [entry.ref for entry in outcome.written] == [
        f"ControllerRevision/{CHILD}",
        f"Deployment/{CHILD}",
        "HTTPRoute/fraud",
        f"PodDisruptionBudget/{CHILD}",
        "Service/fraud",
        f"Service/{CHILD}",
    ]
    stored = await shell.client.get(SERVICE, shell.plane.namespace, "fraud")
    assert stored["metadata"]["ownerReferences"] == [owner_reference("fraud", shell.resource["metadata"]["uid"])]
    for restarted in (False, True):
        if restarted:
            shell.restart()
        shell.plane.calls.clear()
        again = await shell.apply(*shell.everything())
        assert not again.changed
        assert again.written == outcome.written
        assert {call.verb for call in shell.plane.calls} == {"get", "list"}


async def test_a_look_at_rest_is_one_get_and_a_list_for_each_kind(shell: Shell) -> None:
    await shell.apply(*shell.everything())
    shell.plane.calls.clear()
    await shell.look()
    # The gateway, the resource; the wanted revision of this template is another than the one written here.
    listed = [call.resource for call in shell.plane.calls if call.verb == "list"]
    assert sorted(listed) == [
        "controllerrevisions",
        "deployments",
        "httproutes",
        "poddisruptionbudgets",
        "pods",
        "services",
    ]


async def test_what_is_looked_at(shell: Shell) -> None:
    await shell.client.create(gateway(shell.plane.namespace))
    await shell.client.patch(GATEWAY, shell.plane.namespace, "public", {"status": accepted()}, subresource="status")
    await shell.apply(*shell.everything((900_000, 100_000)))
    observed = (await shell.look()).observed
    assert observed.spec is not None
    assert not observed.invalid
    assert not observed.gateway_problem
    assert observed.workloads["e04d5521aa"].replicas == 2
    assert observed.records["e04d5521aa"].deployment["metadata"]["name"] == CHILD
    assert observed.services["fraud"]["seatrial.dev/revision"] == "e04d5521aa"
    assert observed.route is not None
    assert [(backend.service, backend.weight) for backend in observed.route.backends] == [
        ("fraud", 900_000),
        ("fraud", 100_000),
    ]
    assert observed.route.services == {"fraud"}
    assert not observed.route.accepted
    assert "has not answered" in observed.route.problem
    assert (observed.edited, observed.foreign, observed.rewritten) == ((), (), ())


@pytest.mark.parametrize("reason", ["missing", "not accepted"], ids=["a missing Gateway", "a Gateway nobody has taken"])
async def test_a_gateway_that_cannot_carry_traffic(shell: Shell, reason: str) -> None:
    if reason == "not accepted":
        await shell.client.create(gateway(shell.plane.namespace))
    problem = (await shell.look()).observed.gateway_problem
    assert f"Gateway {shell.plane.namespace}/public" in problem
    assert ("does not exist" in problem) is (reason == "missing")


async def test_a_route_counts_as_accepted_for_its_own_generation_only(shell: Shell) -> None:
    await shell.apply(*shell.everything())

    async def answer(generation: int, resolved: str = "True") -> Any:
        conditions = [
            {**accepted(generation)["conditions"][0]},
            {
                **accepted(generation)["conditions"][0],
                "type": "ResolvedRefs",
                "status": resolved,
                "message": "no Service",
            },
        ]
        parent = {"name": "public", "namespace": shell.plane.namespace, "group": "gateway.networking.k8s.io"}
        status = {"parents": [{"parentRef": parent, "controllerName": "a.b/c", "conditions": conditions}]}
        await shell.client.patch(HTTP_ROUTE, shell.plane.namespace, "fraud", {"status": status}, subresource="status")
        return (await shell.look()).observed.route

    assert (await answer(1)).accepted
    await shell.apply(*shell.everything((1, 999_999)))
    assert not (await answer(1)).accepted
    taken = await answer(2)
    assert taken.accepted
    assert taken.resolved
    unresolved = await answer(2, "False")
    assert unresolved.accepted
    assert not unresolved.resolved
    assert "no Service" in unresolved.problem


async def test_a_status_written_by_a_controller_does_not_stop_a_write(shell: Shell) -> None:
    """Every controller writes status all the time; a new resourceVersion alone is no reason to begin again."""
    await shell.apply(*shell.everything())
    view = await shell.look()
    await shell.client.patch(
        DEPLOYMENT, shell.plane.namespace, CHILD, {"status": {"observedGeneration": 1}}, subresource="status"
    )
    objects = [m for m in shell.everything() if m["kind"] == "Deployment"]
    objects[0]["metadata"]["annotations"] = {"seatrial.dev/port": "8080"}
    outcome = await Applier(shell.client, shell.ledger).apply(
        view, Plan(apply=tuple(objects), prune=(), status=Status())
    )
    assert outcome.changed
    assert not outcome.failures


async def test_a_change_of_size_is_one_small_patch(shell: Shell) -> None:
    await shell.apply(*shell.everything())
    shell.plane.calls.clear()
    outcome = await shell.apply(*shell.everything(replicas=5), save=False)
    assert outcome.changed
    assert [(call.verb, call.resource) for call in shell.plane.calls if call.verb not in ("get", "list")] == [
        ("patch", "deployments")
    ]
    stored = await shell.client.get(DEPLOYMENT, shell.plane.namespace, CHILD)
    assert stored["spec"]["replicas"] == 5
    assert (await shell.look()).observed.edited == ()


async def test_a_weight_by_hand_is_seen_and_put_back(shell: Shell) -> None:
    await shell.apply(*shell.everything())
    await edit(shell, HTTP_ROUTE, "fraud", lambda o: o["spec"]["rules"][0]["backendRefs"][1].update(weight=500_000))
    ref = Ref("HTTPRoute", "fraud")
    assert (await shell.look()).observed.edited == (ref,)
    outcome = await shell.apply(*shell.everything())
    assert outcome.repaired == (ref,)
    assert (await shell.look()).observed.edited == ()
    stored = await shell.client.get(HTTP_ROUTE, shell.plane.namespace, "fraud")
    assert [b["weight"] for b in stored["spec"]["rules"][0]["backendRefs"]] == [1_000_000, 0]


async def test_a_budget_by_hand_is_put_back(shell: Shell) -> None:
    """A budget that lets nothing go would keep every node from being drained."""
    await shell.apply(*shell.everything())
    await edit(shell, POD_DISRUPTION_BUDGET, CHILD, lambda o: o["spec"].update(maxUnavailable=0))
    ref = Ref("PodDisruptionBudget", CHILD)
    view = await shell.look()
    assert view.observed.edited == (ref,)
    assert view.observed.budgets == {CHILD}
    assert (await shell.apply(*shell.everything())).repaired == (ref,)
    stored = await shell.client.get(POD_DISRUPTION_BUDGET, shell.plane.namespace, CHILD)
    assert stored["spec"]["maxUnavailable"] == 1


async def test_a_template_by_hand_is_put_back_with_additions_gone(shell: Shell) -> None:
    await shell.apply(*shell.everything())

    def change(found: Manifest) -> None:
        pod = found["spec"]["template"]["spec"]
        pod["containers"][0]["image"] = "registry.example.com/evil:1"
        pod["containers"].append({"name": "sidecar", "image": "registry.example.com/sidecar:1"})

    await edit(shell, DEPLOYMENT, CHILD, change)
    assert (await shell.look()).observed.edited == (Ref("Deployment", CHILD),)
    assert (await shell.apply(*shell.everything())).repaired == (Ref("Deployment", CHILD),)
    stored = await shell.client.get(DEPLOYMENT, shell.plane.namespace, CHILD)
    assert [c["image"] for c in stored["spec"]["template"]["spec"]["containers"]] == ["registry.example.com/fraud:1"]


async def test_labels_taken_off_do_not_hide_an_object(shell: Shell) -> None:
    await shell.apply(*shell.everything())
    await edit(shell, SERVICE, "fraud", lambda o: o["metadata"].pop("labels"))
    assert (await shell.look()).observed.edited == (Ref("Service", "fraud"),)
    assert (await shell.apply(*shell.everything())).repaired == (Ref("Service", "fraud"),)
    stored = await shell.client.get(SERVICE, shell.plane.namespace, "fraud")
    assert stored["metadata"]["labels"]["seatrial.dev/model"] == "fraud"


async def test_labels_and_annotations_of_others_stay(shell: Shell) -> None:
    await shell.apply(*shell.everything())

    def change(found: Manifest) -> None:
        found["metadata"]["labels"]["team"] = "risk"
        found["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": "x"}
        found["spec"]["selector"] = {"a": "b"}

    await edit(shell, SERVICE, "fraud", change)
    assert (await shell.apply(*shell.everything())).repaired
    stored = await shell.client.get(SERVICE, shell.plane.namespace, "fraud")
    assert stored["metadata"]["labels"]["team"] == "risk"
    assert stored["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] == "x"
    assert stored["spec"]["selector"]["seatrial.dev/revision"] == "e04d5521aa"


async def test_labels_of_others_are_no_edit(shell: Shell) -> None:
    await shell.apply(*shell.everything())
    await edit(shell, SERVICE, "fraud", lambda o: o["metadata"]["labels"].update(team="risk"))
    assert (await shell.look()).observed.edited == ()
    assert not (await shell.apply(*shell.everything())).changed


async def test_a_deleted_object_comes_back(shell: Shell) -> None:
    await shell.apply(*shell.everything())
    stored = await shell.client.get(SERVICE, shell.plane.namespace, CHILD)
    await shell.client.delete(SERVICE, shell.plane.namespace, CHILD, uid=stored["metadata"]["uid"])
    outcome = await shell.apply(*shell.everything())
    assert outcome.repaired == (Ref("Service", CHILD),)
    assert await shell.client.find(SERVICE, shell.plane.namespace, CHILD) is not None


async def test_new_defaults_are_no_edit_and_change_no_template(shell: Shell) -> None:
    """After an upgrade of the API server a template can read differently without anybody having touched it."""
    await shell.apply(*shell.everything())
    view = await shell.look()
    # As if our first write had come back without a default that the server adds today.
    entries = [
        e.model_copy(update={"live": "0123456789abcdef"}) if e.ref.startswith("Deployment") else e
        for e in view.observed.status.written
    ]
    await store(shell.client, view.resource, view.observed.status.model_copy(update={"written": entries}))
    shell.restart()
    before = await shell.client.get(DEPLOYMENT, shell.plane.namespace, CHILD)
    looked = await shell.look()
    assert looked.observed.edited == ()
    assert looked.drifted == {Ref("Deployment", CHILD)}
    outcome = await shell.apply(*shell.everything())
    assert not outcome.changed
    assert outcome.repaired == ()
    assert await shell.client.get(DEPLOYMENT, shell.plane.namespace, CHILD) == before
    assert (await shell.look()).drifted == frozenset()


async def test_a_foreign_object_is_never_touched(shell: Shell) -> None:
    stranger = service(shell.plane.namespace)
    stranger["metadata"]["labels"] = {}
    stranger["spec"]["selector"] = {"app": "theirs"}
    theirs = await shell.client.create(stranger)
    assert (await shell.look()).observed.foreign == (Ref("Service", "fraud"),)
    outcome = await shell.apply(service(shell.plane.namespace))
    (failure,) = outcome.failures
    assert (failure.ref, failure.kind) == (Ref("Service", "fraud"), "conflict")
    assert await shell.client.get(SERVICE, shell.plane.namespace, "fraud") == theirs


async def test_an_object_of_an_earlier_resource_of_the_same_name_is_foreign(shell: Shell) -> None:
    old = owned(service(shell.plane.namespace), owner_reference("fraud", "11111111-1111-1111-1111-111111111111"))
    theirs = await shell.client.create(old)
    assert (await shell.look()).observed.foreign == (Ref("Service", "fraud"),)
    assert (await shell.apply(service(shell.plane.namespace))).failures
    assert await shell.client.get(SERVICE, shell.plane.namespace, "fraud") == theirs


async def test_what_is_pruned_goes_and_is_forgotten(shell: Shell) -> None:
    await shell.apply(*shell.everything())
    left = [m for m in shell.everything() if (m["kind"], m["metadata"]["name"]) == ("Service", "fraud")]
    route_ = [m for m in shell.everything() if m["kind"] == "HTTPRoute"]
    kinds = ("PodDisruptionBudget", "Service", "Deployment", "ControllerRevision")
    gone = [Ref(kind, CHILD) for kind in kinds]  # type: ignore[arg-type] # written out just above
    outcome = await shell.apply(*left, *route_, prune=[*gone, Ref("Service", "never-was")])
    assert outcome.changed
    assert [entry.ref for entry in outcome.written] == ["HTTPRoute/fraud", "Service/fraud"]
    observed = (await shell.look()).observed
    assert observed.workloads == {}
    assert observed.records == {}


async def test_a_route_never_names_a_service_that_is_not_there(shell: Shell) -> None:
    outcome = await shell.apply(route(shell.plane.namespace))
    (failure,) = outcome.failures
    assert (failure.ref, failure.kind) == (Ref("HTTPRoute", "fraud"), "error")
    assert "Service/fraud does not exist" in failure.message
    assert await shell.client.find(HTTP_ROUTE, shell.plane.namespace, "fraud") is None


async def test_a_refused_object_does_not_keep_others_from_being_written(shell: Shell) -> None:
    broken = deployment(shell.plane.namespace, CHILD)
    broken["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "a lot"}}
    if shell.plane.fake is not None:

        def strict(_: str, obj: Manifest) -> Manifest:
            if "a lot" in str(obj):
                raise Refusal(422, "Invalid", 'quantities must match the regular expression, got "a lot"')
            return obj

        shell.plane.fake.admission.append(strict)
    outcome = await shell.apply(broken, service(shell.plane.namespace), prune=[Ref("Service", "fraud")])
    (failure,) = outcome.failures
    assert (failure.ref.kind, failure.kind) == ("Deployment", "refused")
    assert "quantities" in failure.message
    assert await shell.client.find(SERVICE, shell.plane.namespace, "fraud") is not None, "nothing is pruned either"


async def test_our_own_writes_are_no_edits_after_a_status_that_was_not_stored(shell: Shell) -> None:
    await shell.apply(*shell.everything())
    await shell.apply(*shell.everything((1, 999_999)), save=False)
    assert (await shell.look()).observed.edited == ()


async def test_a_bad_spec_names_the_field_and_a_bad_status_loses_only_its_bad_part(shell: Shell) -> None:
    await shell.apply(*shell.everything())
    view = await shell.look()
    raw = {
        "weight": "5",
        "history": [{"revision": "nonsense"}],
        "conditions": [{"type": "Ready", "status": "Maybe"}],
    }
    raw_resource = {**view.resource, "status": {**view.resource["status"], **raw}}
    raw_resource["spec"] = {**raw_resource["spec"], "replicas": "many"}
    installation = Installation()
    observer = Observer(shell.client, installation, Index(installation), shell.ledger)
    found = await observer.read((shell.plane.namespace, "fraud"))
    assert found is not None
    observed = (await observer.view(type(found)(raw_resource, found.children))).observed
    assert observed.spec is None
    assert observed.invalid.startswith("spec.replicas: ")
    assert observed.status.weight == "5"
    assert observed.status.history == []
    assert observed.status.conditions == []
    assert len(observed.status.written) == 6


async def test_pods_belong_to_their_revision(shell: Shell) -> None:
    await shell.apply(*shell.everything())
    labels = deployment(shell.plane.namespace, CHILD)["metadata"]["labels"]
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{CHILD}-abc", "uid": "1", "controller": True}
    pod: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{CHILD}-abc-1",
            "namespace": shell.plane.namespace,
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {"containers": [{"name": "model", "image": "a"}], "automountServiceAccountToken": False},
    }
    stray = copy.deepcopy(pod)
    stray["metadata"]["name"] = "stray"
    del stray["metadata"]["ownerReferences"]
    await shell.client.create(pod)
    await shell.client.create(stray)
    status = {
        "podIP": "10.0.0.7",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [
            {
                "name": "model",
                "image": "a",
                "imageID": "a@sha256:1",
                "ready": True,
                "restartCount": 2,
                "state": {"running": {}},
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "one\ntwo"}},
            }
        ],
    }
    await shell.client.patch(
        POD, shell.plane.namespace, pod["metadata"]["name"], {"status": status}, subresource="status"
    )
    (found,) = (await shell.look()).observed.workloads["e04d5521aa"].pods
    assert (found.ip, found.ready, found.restarts, found.oom_kills) == ("10.0.0.7", True, 2, 1)
    assert found.image_ids == ("a@sha256:1",)
    assert found.last_exit == "exit code 137 (OOMKilled): two"


async def test_no_resource_no_view(shell: Shell) -> None:
    await shell.client.delete(MODEL_DEPLOYMENT, shell.plane.namespace, "fraud", uid=shell.resource["metadata"]["uid"])
    installation = Installation()
    observer = Observer(shell.client, installation, Index(installation), shell.ledger)
    assert await observer.look((shell.plane.namespace, "fraud")) is None


async def test_a_deployment_replaced_meanwhile_is_not_scaled(shell: Shell) -> None:
    await shell.apply(*shell.everything())
    view = await shell.look()
    stored = view.objects[Ref("Deployment", CHILD)]
    await shell.client.delete(DEPLOYMENT, shell.plane.namespace, CHILD, uid=stored["metadata"]["uid"])
    await shell.client.create(deployment(shell.plane.namespace, CHILD, 3))
    wanted = deployment(shell.plane.namespace, CHILD, 9)
    with pytest.raises(Conflict):
        await Applier(shell.client, shell.ledger).apply(view, Plan(apply=(wanted,), prune=(), status=Status()))
    assert (await shell.client.get(DEPLOYMENT, shell.plane.namespace, CHILD))["spec"]["replicas"] == 3
