"""What the command line says of whole trials that the operator's own core sails, kept as pictures.

`UPDATE_PICTURES=1 pytest tests/cli/test_sailing.py` writes them anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seatrial.api.spec import ModelDeploymentSpec
from seatrial.cli import asking, story, view
from seatrial.cli.reading import Reading
from seatrial.cli.waits import waits_for
from seatrial.core.commands import Action
from tests.cli.test_view import agrees, drawn
from tests.sim.world import START, World, base_spec, settled

SHADOW = {"shadow": {"percent": 20, "minDuration": "1m"}}
CANARY = {"canary": {"steps": [{"weight": 50, "minDuration": "1m"}]}}
FLIP = {"blueGreen": {"minDuration": "1m", "approval": {"when": "ToLeave"}}}


class Watcher:
    """Somebody who looks every second, and writes down what is new."""

    def __init__(
        self, *stages: dict[str, Any], probation: dict[str, Any], traffic: dict[str, Any] | None = None
    ) -> None:
        spec = base_spec(strategy={"stages": list(stages), "probation": probation})
        spec["traffic"] = traffic or {**spec["traffic"], "preview": {"header": "x-seatrial"}}
        self.world = World(spec=spec)
        self.lines: list[str] = []
        self._last: object = None
        self.world.image("fraud:v1")
        assert self.world.run(60, until=settled)
        self.old = str(self.world.status.stable)

    def object(self) -> dict[str, Any]:
        """The resource as the API server returns it, defaults filled in."""
        resource = self.world.resource
        return {**resource, "spec": ModelDeploymentSpec.model_validate(resource["spec"]).wire()}

    def reading(self) -> Reading:
        return Reading(self.object())

    def until(self, place: str, seconds: int = 900, *, more: Callable[[], bool] = lambda: True) -> None:
        """Look until the model is said to be in a place."""
        for _ in range(seconds):
            self.world.step()
            self._look()
            if story.place(self.reading()) == place and more():
                return
        raise AssertionError(f"not {place} but {story.place(self.reading())}")

    def ask(self, action: Action) -> None:
        """What `seatrial` writes down for this action."""
        self.world.command(action, asking.target(self.reading(), action), reason="orders fell")
        self.lines.append(f"{'':8}$ seatrial {action} fraud")

    def _look(self) -> None:
        r = self.reading()
        drawn(view.live(self.object(), self.world.now), 80)
        place = (story.place(r), r.step, r.step_confirmed is None, story.headline(r))
        if place == self._last:
            return
        self._last = place
        at = int((self.world.now - START).total_seconds())
        self.lines.append(f"{at // 60:02d}:{at % 60:02d}   {story.place(r)}: {story.headline(r)}")
        self.lines += [f"{'':10}{wait.kind}: {wait.text}" for wait in waits_for(r, self.world.now)]

    def story(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)


def test_a_promotion_that_is_undone() -> None:
    watcher = Watcher(SHADOW, CANARY, probation={"duration": "30m", "keep": "Warm", "holdback": 10})
    watcher.world.image("fraud:v2")
    watcher.until("Probation")
    watcher.until("Probation", more=lambda: watcher.reading().weight(watcher.old, confirmed=True) == 10)
    assert "back starts 3 more first" in drawn(view.why(watcher.object(), watcher.world.now))
    watcher.ask(Action.ABORT)
    watcher.until("RollingBack")
    assert asking.done(Action.ABORT, watcher.reading())
    watcher.until("RolledBack")
    assert watcher.reading().stable == watcher.old
    assert "taken back on probation" in drawn(view.history(watcher.object(), watcher.world.now))
    agrees("sailing-undone", watcher.story())


def test_pods_as_weights() -> None:
    """A quarter is asked, and a fifth is what one pod beside four gets: that is what is shown."""
    steps = [{"weight": weight, "minDuration": "1m"} for weight in (25, 50)]
    traffic = {"replicaRatio": {}, "drain": "30s"}
    watcher = Watcher({"canary": {"steps": steps}}, probation={"duration": "0s"}, traffic=traffic)
    watcher.world.image("fraud:v2")
    watcher.until("Canary", more=lambda: watcher.reading().step_confirmed is not None)
    assert "20 %" in drawn(view.why(watcher.object(), watcher.world.now))
    assert watcher.object()["status"]["weight"] == "20"
    watcher.until("Stable")
    agrees("sailing-by-pods", watcher.story())


def test_a_drill() -> None:
    watcher = Watcher(SHADOW, FLIP, probation={"duration": "0s"})
    watcher.world.run(40)
    watcher.ask(Action.DRILL)
    watcher.until("Drill")
    assert asking.done(Action.DRILL, watcher.reading())
    watcher.until("Stable")
    assert "drill passed" in drawn(view.history(watcher.object(), watcher.world.now))
    agrees("sailing-drill", watcher.story())


def test_a_flip_that_somebody_approves() -> None:
    watcher = Watcher(SHADOW, FLIP, probation={"duration": "2m", "keep": "Full"})
    watcher.world.image("fraud:v2")
    watcher.until("BlueGreen, awaiting approval")
    watcher.ask(Action.APPROVE)
    watcher.until("Probation")
    watcher.until("Stable")
    assert [trial.probation for trial in watcher.reading().history] == ["Pass", ""]
    assert "passed its probation" in drawn(view.history(watcher.object(), watcher.world.now))
    agrees("sailing-flip", watcher.story())
