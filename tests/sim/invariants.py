"""The invariants of the contract, checked after every pass of the simulated world."""

from __future__ import annotations

from collections.abc import Mapping

from seatrial.api.status import PARTS, Outcome, Phase, Status
from seatrial.build.drill import drill_revision
from seatrial.build.names import DRILL_LABEL, REVISION_LABEL, child_name
from seatrial.core.capacity import pods_for
from seatrial.core.legs import DRILL_WEIGHT
from seatrial.core.state import Manifest, Plan, Ref
from seatrial.core.traffic import highest, parts, weight_of
from tests.sim.prometheus import Weather
from tests.sim.world import NAME, World, rule_of


def route_of(plan: Plan) -> Manifest | None:
    """The route with live traffic as the plan wants it, whoever owns it."""
    if plan.splice is not None:
        rule = {"backendRefs": list(plan.splice.backends or ()), "filters": list(plan.splice.copies)}
        back = plan.status.traffic.borrowed is None or plan.status.traffic.borrowed.returning_since is not None
        return None if back else {"spec": {"rules": [rule]}}
    return next((m for m in plan.apply if m["kind"] == "HTTPRoute"), None)


def weights(route: Manifest | None, number: int = 0) -> dict[str, int]:
    """Weights of a rule by Service; an empty slot names the other's Service and adds nothing."""
    out: dict[str, int] = {}
    for ref in route["spec"]["rules"][number]["backendRefs"] if route is not None else ():
        out[ref["name"]] = out.get(ref["name"], 0) + ref["weight"]
    return out


def kept(route: Manifest | None) -> list[int]:
    """Numbers of the rules for users who bear a mark: each has both backends, which a preview has not."""
    rules = route["spec"]["rules"] if route is not None else []
    return [number for number, rule in enumerate(rules) if number and len(rule["backendRefs"]) == 2]


def borne(route: Manifest | None) -> bool:
    """Whether somebody can bear a mark that the route knows."""
    values = [
        header["value"]
        for number in kept(route)
        for match in route["spec"]["rules"][number]["matches"]  # type: ignore[index]
        for header in match["headers"]
    ]
    return any("nobody" not in value for value in values)


def in_force(world: World) -> dict[str, int] | None:
    """Weights by revision's Service as they are in the cluster; None where nothing divides requests yet."""
    if world.by_pods:
        found = world.endpoints.weights()
        return {child_name(NAME, name): weight for name, weight in found.items()} or None
    route = world.live_route()
    return None if route is None else weights(route)


def planned(world: World, plan: Plan) -> dict[str, int] | None:
    """Weights by revision's Service as a plan will have them; None where it says nothing."""
    if not world.by_pods:
        route = route_of(plan)
        return None if route is None else weights(route)
    service = next((m for m in plan.apply if m["kind"] == "Service" and m["metadata"]["name"] == NAME), None)
    if service is None:
        return None
    alone = service["spec"]["selector"].get(REVISION_LABEL)
    if alone is not None:
        return {child_name(NAME, alone): PARTS}
    traffic = plan.status.traffic
    split = ((traffic.slots.a, traffic.wanted.a), (traffic.slots.b, traffic.wanted.b))
    return {child_name(NAME, name): weight for name, weight in split if name is not None}


class Invariants:
    """A watcher of a world: `world.watchers.append(Invariants())`."""

    def __init__(self, *, hands_off: bool = True, lossless: bool | None = None) -> None:
        self.hands_off = hands_off
        """Nobody edits or deletes our objects."""
        self.lossless = hands_off if lossless is None else lossless
        """Nothing happens that must cost requests (such as pods that die)."""
        self.returning: dict[str, int] = {}
        self.passes = 0

    def __call__(self, world: World, plan: Plan) -> None:
        self.passes += 1
        before, after = world.status, plan.status
        live, new = in_force(world), planned(world, plan)
        if new is not None:
            assert sum(new.values()) == PARTS, f"weights sum to {sum(new.values())}"
            self._capacity_before_traffic(world, after, live or {}, new)
            if not world.by_pods:
                self._stable_takes_what_it_can_carry(world, after, live, new)
        if (wanted := route_of(plan)) is not None:
            self._weights_sum(wanted)
            self._no_direct_step(world.live_route(), wanted)
        if world.by_pods:
            self._only_who_may_serve_has_pods(world, plan)
        self._only_a_pass_advances(before, after)
        self._going_back_only_falls(world, plan, before, new)
        self._nothing_referenced_is_removed(world, plan)
        self._nobody_shrinks_below_what_he_carries(world, plan)
        self._neighbours_see_who_serves(world, plan, live or {}, new)
        self._waiting_is_explained(after)
        self._copies_only_in_a_shadow(after, route_of(plan))
        self._a_drill_changes_nothing(world, plan, route_of(plan))
        if self.lossless:
            assert not world.lost, f"lost requests: {dict(world.lost)}"

    def _copies_only_in_a_shadow(self, after: Status, new: Manifest | None) -> None:
        """Copies go to a candidate that has no weight, and end with its shadow."""
        copied = new["spec"]["rules"][0].get("filters", []) if new is not None else []
        rollout = after.rollout
        if not copied:
            return
        assert rollout is not None
        assert rollout.back is None
        assert not rollout.promoting
        name = child_name(NAME, rollout.revision)
        assert copied[0]["requestMirror"]["backendRef"]["name"] == name
        assert weights(new).get(name, 0) == 0, "a shadow answered somebody"

    def _a_drill_changes_nothing(self, world: World, plan: Plan, new: Manifest | None) -> None:
        """Its copy never becomes stable, is in no record of what was tried, and never gets more than its step."""
        after = plan.status
        labels = [m["metadata"].get("labels", {}) for m in (*world.objects.values(), *plan.apply)]
        copies = {mine[REVISION_LABEL] for mine in labels if DRILL_LABEL in mine}
        copies |= {drill_revision(mine[REVISION_LABEL]) for mine in labels if REVISION_LABEL in mine}
        assert after.stable not in copies, "a drill became stable"
        assert not copies & {entry.revision for entry in after.history}
        assert after.rejected is None or after.rejected.revision not in copies
        for name in copies:
            assert weights(new).get(child_name(NAME, name), 0) <= parts(DRILL_WEIGHT)
        rollout = after.rollout
        if rollout is None or rollout.drill is None:
            assert rollout is None or rollout.revision not in copies, "a copy is on trial"
            return
        assert rollout.revision in copies
        assert not (rollout.promoting or rollout.promote or rollout.skipped_checks)
        assert after.phase in (Phase.DRILL, Phase.SUSPENDED)
        stalled = next(c for c in after.conditions if c.type == "Stalled")
        reconciling = next(c for c in after.conditions if c.type == "Reconciling")
        assert stalled.status == "False" or not self.hands_off
        whole = world.ready(str(after.stable)) >= world.resource["spec"]["replicas"]
        assert reconciling.status == "False" or not whole or not self.hands_off

    def _weights_sum(self, route: Manifest) -> None:
        for number in (0, *kept(route)):
            total = sum(weights(route, number).values())
            assert total == PARTS, f"weights of rule {number} sum to {total}"

    def _only_who_may_serve_has_pods(self, world: World, plan: Plan) -> None:
        """While the Service leads to every pod, nobody else has one: neither before this plan nor through it."""
        service = next((m for m in plan.apply if m["kind"] == "Service" and m["metadata"]["name"] == NAME), None)
        if service is None or REVISION_LABEL in service["spec"]["selector"]:
            return
        slots = plan.status.traffic.slots
        there = {pod.revision for pod in world.pods if pod.gone_at is None}
        made = {
            m["metadata"]["labels"][REVISION_LABEL]
            for m in plan.apply
            if m["kind"] == "Deployment" and m["spec"]["replicas"]
        }
        assert there | made <= {slots.a, slots.b} or not self.hands_off, f"{there | made} beside {slots}"
        rollout = plan.status.rollout
        assert rollout is None or rollout.exposed or rollout.back, "a candidate meets traffic before its first step"

    def _capacity_before_traffic(
        self, world: World, status: Status, was: Mapping[str, int], now: Mapping[str, int]
    ) -> None:
        rollout = status.rollout
        if rollout is None or status.stable is None:
            return
        name = child_name(NAME, rollout.revision)
        rise = now.get(name, 0) - was.get(name, 0)
        if rise <= 0:
            return
        assert rollout.back is None or not self.hands_off, "a candidate on its way back gained weight"
        if now[name] <= weight_of(world.status.traffic, rollout.revision, confirmed=True):
            return  # what it had already is put back
        # Where pods are weights, a weight is never more than its pods; a flip is what needs all of them.
        by_ratio = world.by_pods and now[name] < PARTS
        need = 1 if by_ratio else pods_for(world.resource["spec"]["replicas"], now[name])
        ready = world.ready(rollout.revision)
        assert ready >= need, f"{now[name]} parts for {rollout.revision} with {ready} of {need} pods ready"

    def _stable_takes_what_it_can_carry(
        self, world: World, status: Status, live: Mapping[str, int] | None, new: Mapping[str, int]
    ) -> None:
        """The same on the way back; where nobody is left in the candidate, stable takes all, whatever its size."""
        rollout = status.rollout
        late = world.prometheus.weather is Weather.SLOW  # the plan's view is older than the world
        if rollout is None or status.stable is None or late or not self.hands_off:
            return
        name = child_name(NAME, status.stable)
        was, now = (live or {}).get(name, 0), new.get(name, 0)
        if live is None or now <= was or not world.ready(rollout.revision):
            return
        if now <= weight_of(world.status.traffic, status.stable, confirmed=True):
            return
        need, ready = pods_for(world.resource["spec"]["replicas"], now), world.ready(status.stable)
        assert ready >= need, f"{now} parts for stable {status.stable} with {ready} of {need} pods ready"

    def _no_direct_step(self, live: Manifest | None, new: Manifest) -> None:
        if live is None or not self.hands_off:
            return
        assert kept(live) == kept(new) or not (borne(live) or borne(new)), "rules for users came or went in a trial"
        for number in (0, *(n for n in kept(live) if n in kept(new))):
            was, now = weights(live, number), weights(new, number)
            for name in set(was) & set(now):
                jump = (was[name] == 0) != (now[name] == 0)
                assert not jump or max(was[name], now[name]) == 1, f"rule {number}, {name}: {was[name]} -> {now[name]}"

    def _only_a_pass_advances(self, before: Status, after: Status) -> None:
        old, new = before.rollout, after.rollout
        if old is None or new is None or old.revision != new.revision:
            return
        if new.skipped_checks is not None:
            return  # somebody with the right to asked for just that
        advanced = new.step > old.step or (new.promoting and not old.promoting)
        if not advanced or before.stable is None or not old.exposed or new.promote or old.steps != new.steps:
            return
        previewed = old.steps.split(",")[max(0, old.step)] == "preview"  # nobody comes there: only a failure counts
        fine = [outcome for outcome in Outcome if outcome is not Outcome.FAIL] if previewed else [Outcome.PASS]
        bad = [check for check in after.checks if check.outcome not in fine and not check.advisory]
        assert not bad, f"step {old.step} was left with {bad[0].name} at {bad[0].outcome}"

    def _going_back_only_falls(self, world: World, plan: Plan, before: Status, new: Mapping[str, int] | None) -> None:
        rollout = plan.status.rollout
        if rollout is None or rollout.back is None:
            self.returning.clear()
            return
        if (
            before.rollout is not None
            and before.rollout.back is not None
            and before.rollout.revision == rollout.revision
        ):
            assert before.rollout.back.at == rollout.back.at, "the decision to go back was taken twice"
        if new is None:
            return
        weight = new.get(child_name(NAME, rollout.revision), 0)
        last = self.returning.get(rollout.revision, world.weight(rollout.revision))
        if self.hands_off:
            assert weight <= last, f"going back, the weight rose from {last} to {weight}"
            name, live = child_name(NAME, rollout.revision), world.live_route()
            wanted = route_of(plan)
            for number in (n for n in kept(live) if n in kept(wanted)):
                was, now = weights(live, number).get(name, 0), weights(wanted, number).get(name, 0)
                assert now <= max(was, weight), f"going back, rule {number} rose from {was} to {now}"
        self.returning[rollout.revision] = weight

    def _nothing_referenced_is_removed(self, world: World, plan: Plan) -> None:
        named = set(in_force(world) or ())
        for node in world.endpoints.nodes if world.by_pods else ():
            named |= {child_name(NAME, pod.revision) for pod in world.pods if pod.name in node and pod.gone_at is None}
        for proxy in world.proxies:
            # One that is late may still name it, as long as it sends nothing there.
            named |= {ref["name"] for ref in rule_of(proxy)["backendRefs"] if ref["weight"]} if proxy else set()
        selected = world.objects.get(Ref("Service", NAME), {}).get("spec", {}).get("selector", {})
        for ref in plan.prune:
            if ref.kind == "PodDisruptionBudget":
                continue  # takes no pod away
            assert ref.name not in named or not self.hands_off, f"{ref} is removed while a proxy names it"
            assert not ref.name.endswith(selected.get(REVISION_LABEL, "-")), f"{ref} is what Service {NAME} selects"

    def _nobody_shrinks_below_what_he_carries(self, world: World, plan: Plan) -> None:
        """Stable keeps its size, or where it shares, what its weight needs: so does everybody else."""
        replicas, status = world.resource["spec"]["replicas"], plan.status
        shared = any(
            stage.get("canary", {}).get("capacity") == "Shared"
            for stage in world.resource["spec"]["strategy"]["stages"]
        )
        in_route = weights(world.live_route())
        for manifest in plan.apply:
            name = manifest["metadata"]["labels"].get(REVISION_LABEL)
            if manifest["kind"] != "Deployment" or name is None:
                continue
            asked = manifest["spec"]["replicas"]
            if name == status.stable and not shared:
                assert asked == replicas
            if world.by_pods:
                continue  # a weight follows the pods there
            live = world.objects.get(Ref("Deployment", child_name(NAME, name)))
            carries = max(highest(status.traffic, name), in_route.get(child_name(NAME, name), 0))
            if live is None or asked >= live["spec"]["replicas"] or not carries or not replicas or not self.hands_off:
                continue
            least = min(replicas, pods_for(replicas, carries))
            assert asked >= least, f"{name} shrinks to {asked} pods and carries {carries} parts"

    def _neighbours_see_who_serves(
        self, world: World, plan: Plan, live: Mapping[str, int], new: Mapping[str, int] | None
    ) -> None:
        """Every revision with weight has a budget and is counted for autoscalers; one without any is neither."""
        if new is None or world.resource["spec"]["suspend"]:
            return
        wanted = {name.removeprefix(f"{NAME}-") for name, weight in new.items() if weight > 0}
        before = {name.removeprefix(f"{NAME}-") for name, weight in live.items() if weight > 0}
        budgets = {m["metadata"]["labels"][REVISION_LABEL] for m in plan.apply if m["kind"] == "PodDisruptionBudget"}
        counted = set(plan.status.selector.partition(" in (")[2].rstrip(")").split(",")) - {""}
        assert counted == budgets
        assert wanted <= budgets, f"{wanted - budgets} has traffic and no budget"
        slots, confirmed = plan.status.traffic.slots, plan.status.traffic.confirmed
        known = {name for name, weight in ((slots.a, confirmed.a), (slots.b, confirmed.b)) if name and weight > 0}
        idle = budgets - wanted - before - known
        assert not idle or not self.hands_off, f"{idle} has a budget and no traffic"
        pods = [p for p in world.pods if p.revision in counted and p.gone_at is None]
        if counted <= {m["metadata"]["labels"].get(REVISION_LABEL) for m in world.objects.values()}:
            late = world.prometheus.weather is Weather.SLOW  # the plan's view is older than the world
            assert plan.status.replicas == len(pods) or late or not self.hands_off

    def _waiting_is_explained(self, after: Status) -> None:
        rollout = after.rollout
        if rollout is None or rollout.overlay is None:
            return
        assert rollout.overlay.message, "a wait without a reason"
        assert (
            rollout.overlay.deadline is not None
            or "for ever" in rollout.overlay.message
            or "seatrial" in (rollout.overlay.message)
        ), f"a wait with no way out: {rollout.overlay.message}"
