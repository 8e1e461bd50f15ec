"""The pictures of the strategies' pages, drawn from trials in the simulated world of the tests.

`python -m docs.pictures`, or `make generate`, writes them into `docs/pictures`. What they show is what the planner does:
each second of a trial the world is asked for the weights in the route, the copies, and the pods that are ready.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from seatrial.api.spec import ModelDeploymentSpec
from seatrial.api.status import PARTS, OverlayKind, Phase
from seatrial.core.commands import Action
from seatrial.core.legs import Kind, legs
from seatrial.core.state import Ref
from tests.sim.world import NAME, Behaviour, World, base_spec, settled

FOLDER = Path(__file__).parent / "pictures"
REPLICAS = 4
LOADS = 20.0
"""Seconds that a pod loads its model before it is ready."""
BEFORE, AFTER = 25, 45
"""Seconds shown before a trial begins, and after it has ended: longer than a revision drains."""


@dataclass(frozen=True, slots=True)
class Second:
    """What a second of a trial looked like."""

    phase: str
    told: str
    """The phase for a reader: `25 %`, `shadow`, `waits for approval`."""
    new: float
    """Percent of live requests that the new revision answers; the old one answers the rest."""
    copied: int
    """Percent of live requests of which the new revision gets a copy."""
    pods: tuple[int, int]
    """Ready pods of the new and of the old revision."""
    failed: int
    """Requests of users answered with an error so far."""


@dataclass(slots=True)
class Film:
    """A trial of v2 against v1, watched second by second."""

    world: World
    old: str = ""
    new: str = ""
    seconds: list[Second] = field(default_factory=list)

    def watch(self, seconds: int, *, until: Callable[[World], bool] | None = None) -> None:
        """Let time pass, until something holds or for so many seconds."""
        for _ in range(seconds):
            self.world.step()
            self.seconds.append(self._second())
            if until is not None and until(self.world):
                return
        if until is not None:
            raise RuntimeError(f"it did not happen within {seconds} s: {self.world.status.message}")

    def _second(self) -> Second:
        world, status = self.world, self.world.status
        rules = world.objects[Ref("HTTPRoute", NAME)]["spec"]["rules"]
        mirrors = [one["requestMirror"].get("percent", 100) for one in rules[0].get("filters", ())]
        return Second(
            phase=str(status.phase),
            told=self._told(),
            new=world.weight(self.new) * 100 / PARTS,
            copied=sum(mirrors),
            pods=(world.ready(self.new), world.ready(self.old)),
            failed=world.user_errors,
        )

    def _told(self) -> str:
        world, status = self.world, self.world.status
        rollout = status.rollout
        serves = "v1 is stable" if status.stable == self.old else "v2 is stable"
        if rollout is None:
            leaves = status.phase is Phase.ROLLING_BACK and status.rejected is None
            return "v1 leaves" if leaves else {Phase.PROBATION: "probation"}.get(status.phase or Phase.STABLE, serves)
        if status.phase in {Phase.PREPARING, Phase.PROMOTING}:
            return str(status.phase).lower()
        if rollout.back is not None:
            return "back"
        if rollout.overlay is not None and rollout.overlay.kind is OverlayKind.AWAITING_APPROVAL:
            return "waits for approval"
        leg = legs(ModelDeploymentSpec.model_validate(world.resource["spec"]).strategy)[max(0, rollout.step)]
        return {Kind.SHADOW: f"shadow {leg.mirror} %", Kind.BLUE_GREEN: "preview"}.get(leg.kind, leg.told())


# ---- The trials -------------------------------------------------------------------------------------------------------


def _begin(*stages: dict[str, Any], **strategy: Any) -> Film:
    """A world in which v1 serves and v2 has just been asked for."""
    strategy.setdefault("probation", {"duration": "0s"})
    spec = base_spec(replicas=REPLICAS, strategy={"stages": list(stages), **strategy})
    world = World(spec=spec)
    world.behaviours = {name: Behaviour(start=LOADS) for name in ("fraud:v1", "fraud:v2")}
    film = Film(world, old=world.image("fraud:v1"))
    if not world.run(120, until=settled):
        raise RuntimeError(f"v1 does not serve: {world.status.message}")
    world.run(60)
    film.watch(BEFORE)
    film.new = world.image("fraud:v2")
    return film


def _end(film: Film, phase: Phase) -> Film:
    film.watch(
        1500, until=lambda w: w.status.phase is phase and w.status.rollout is None and bool(w.status.history[1:])
    )
    film.watch(AFTER)
    return film


CANARY = {"canary": {"steps": [{"weight": weight, "minDuration": "1m"} for weight in (5, 25, 50)]}}


def canary() -> Film:
    """A canary that is accepted."""
    return _end(_begin(CANARY), Phase.STABLE)


def canary_back() -> Film:
    """A canary whose model begins to fail under load, and is sent back."""
    film = _begin(CANARY)
    film.world.behaviours["fraud:v2"] = Behaviour(start=LOADS, errors=0.3, errors_from=1700)
    return _end(film, Phase.ROLLED_BACK)


def shadow() -> Film:
    """Copies first, then a canary."""
    steps = [{"weight": 10, "minDuration": "1m"}, {"weight": 50, "minDuration": "1m"}]
    return _end(_begin({"shadow": {"percent": 40, "minDuration": "90s"}}, {"canary": {"steps": steps}}), Phase.STABLE)


def blue_green() -> Film:
    """A preview in full size, an approval, and all traffic at once."""
    film = _begin({"blueGreen": {"minDuration": "1m", "approval": {"when": "ToLeave"}}})
    world = film.world

    def waits(_: World) -> bool:
        rollout = world.status.rollout
        return rollout is not None and rollout.overlay is not None

    film.watch(600, until=waits)
    film.watch(50)
    world.command(Action.APPROVE, film.new)
    return _end(film, Phase.STABLE)


def _short(**probation: Any) -> Film:
    steps = [{"weight": 25, "minDuration": "45s"}]
    film = _begin({"canary": {"steps": steps}}, probation=probation)
    film.watch(900, until=lambda w: w.status.phase is Phase.PROBATION)
    return film


def probation() -> Film:
    """A tenth of the traffic stays with the revision before, for a time."""
    return _end(_short(duration="3m", keep="Warm", holdback=10), Phase.STABLE)


def probation_back() -> Film:
    """The accepted revision begins to fail on probation: pods first, and traffic follows them."""
    film = _short(duration="30m", keep="Warm", holdback=10)
    film.watch(60)
    film.world.behaviours["fraud:v2"] = Behaviour(start=LOADS, errors=0.3)
    return _end(film, Phase.ROLLED_BACK)


PICTURES: dict[str, tuple[Callable[[], Film], str]] = {
    "canary": (canary, "A canary of 5, 25 and 50 % that is accepted"),
    "canary-back": (canary_back, "A canary that begins to fail at 25 % and is sent back"),
    "shadow": (shadow, "Copies of 40 % of the requests, then a canary of 10 and 50 %"),
    "blue-green": (blue_green, "A preview at full size, an approval, then all traffic at once"),
    "probation": (probation, "After a canary, v1 keeps 10 % of the traffic for three minutes"),
    "probation-back": (probation_back, "v2 begins to fail on probation, and v1 is stable again"),
}

# ---- Drawing ----------------------------------------------------------------------------------------------------------

WIDTH, HEIGHT = 760, 372
LEFT, RIGHT = 56, 14
BANDS, BAND = 86, 22
TRAFFIC, TRAFFIC_HEIGHT = 132, 110
PODS, PODS_HEIGHT = 272, 64
CHARACTER = 6.3
"""Width of a character of a label, about."""
LIGHT = """
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#1f2328}
.dim{fill:#59636e}.title{font-size:14px;font-weight:600}.page{fill:#fff}.old{fill:#9dc3ee}.new{fill:#e8833a}
.copy{fill:url(#copies)}.copy,.copies{stroke:#a14a0b;stroke-width:1.5}.band{fill:#eef1f4}.line{stroke:#b4bcc5;fill:none}
.mark{stroke:#1f2328;stroke-dasharray:3 3}
""".strip()
DARK = """
text{fill:#f0f6fc}.dim{fill:#9ea7b3}.page{fill:#0d1117}.old{fill:#2f5f96}.new{fill:#d9752b}
.copy,.copies{stroke:#ffb27a}.band{fill:#232b34}.line{stroke:#59636e}.mark{stroke:#f0f6fc}
""".strip()
STYLE = f"{LIGHT}\n@media (prefers-color-scheme:dark){{\n{DARK}\n}}"


def draw(film: Film, title: str) -> str:
    """A trial as an SVG: phases, who answers, and the pods that are ready."""
    seconds = film.seconds
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"',
            'role="img" aria-labelledby="title story">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="story">{escape(_in_words(seconds))}</desc>',
            f"<style>{STYLE}</style>",
            '<defs><pattern id="copies" width="6" height="6" patternUnits="userSpaceOnUse"',
            'patternTransform="rotate(45)"><path d="M0 0V6" class="copies"/></pattern></defs>',
            f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
            f'<text class="title" x="{LEFT}" y="22">{escape(title)}</text>',
            *_legend(copies=any(one.copied for one in seconds)),
            *_bands(seconds),
            *_traffic(seconds),
            *_pods(seconds),
            *_errors(seconds),
            *_clock(seconds),
            "</svg>",
            "",
        ]
    )


def _phases(seconds: list[Second]) -> Iterator[tuple[str, int, int]]:
    """What was going on, from which second to which."""
    at = 0
    for told, group in itertools.groupby(one.told for one in seconds):
        length = len(list(group))
        yield told, at, at + length
        at += length


def _in_words(seconds: list[Second]) -> str:
    said = []
    for told, start, end in _phases(seconds):
        last = seconds[end - 1]
        copies = f", copies of {last.copied} %" if last.copied else ""
        said.append(f"{_minutes(start - BEFORE)} {told}: v2 answers {last.new:.0f} %{copies}, {sum(last.pods)} pods")
    return "; ".join(said)


def _minutes(second: int) -> str:
    minutes, rest = divmod(abs(second), 60)
    return f"{'-' if second < 0 else ''}{minutes}:{rest:02d}"


def _x(second: float, seconds: list[Second]) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * second / len(seconds)


def _legend(*, copies: bool) -> Iterator[str]:
    shown = [("old", "answered by v1, which served before"), ("new", "answered by v2, the new one")]
    if copies:
        shown.append(("copy", "copied to v2, answers dropped"))
    x = float(LEFT)
    for kind, words in shown:
        yield f'<rect class="{kind}" x="{x:.1f}" y="35" width="12" height="12"/>'
        yield f'<text x="{x + 17:.1f}" y="45">{words}</text>'
        x += 17 + len(words) * CHARACTER + 16


def _bands(seconds: list[Second]) -> Iterator[str]:
    """The phases as a row; a name that does not fit stands above its band."""
    free = float(LEFT)
    for told, start, end in _phases(seconds):
        left, right = _x(start, seconds), _x(end, seconds)
        width = len(told) * CHARACTER
        yield f'<rect class="band" x="{left + 1:.1f}" y="{BANDS}" width="{right - left - 2:.1f}" height="{BAND}" rx="3"/>'
        middle = (left + right) / 2
        if width + 4 <= right - left:
            yield f'<text x="{middle:.1f}" y="{BANDS + 15}" text-anchor="middle">{told}</text>'
            continue
        at = max(free, min(middle - width / 2, WIDTH - RIGHT - width))
        if at + width > WIDTH:
            raise RuntimeError(f"there is no room for {told!r}: show more seconds")
        free = at + width + 8
        yield f'<text x="{at:.1f}" y="{BANDS - 10}">{told}</text>'
        yield f'<path class="line" d="M{middle:.1f} {BANDS - 6}V{BANDS + 5}"/>'


def _area(kind: str, seconds: list[Second], low: list[float], high: list[float], top: float, height: float) -> str:
    """The area between two courses, given as shares of the height; each second is as wide as the next."""

    def course(values: list[float]) -> list[str]:
        corners: list[str] = []
        at = 0
        for value, group in itertools.groupby(values):
            y = top + height * (1 - value)
            corners.append(f"{_x(at, seconds):.1f} {y:.1f}")
            at += len(list(group))
            corners.append(f"{_x(at, seconds):.1f} {y:.1f}")
        return corners

    return f'<path class="{kind}" d="M{"L".join([*course(high), *reversed(course(low))])}Z"/>'


def _traffic(seconds: list[Second]) -> Iterator[str]:
    nothing, everything = [0.0] * len(seconds), [1.0] * len(seconds)
    new = [round(one.new / 100, 3) for one in seconds]
    yield f'<text class="dim" x="{LEFT}" y="{TRAFFIC - 6}">live requests</text>'
    yield _area("old", seconds, new, everything, TRAFFIC, TRAFFIC_HEIGHT)
    yield _area("new", seconds, nothing, new, TRAFFIC, TRAFFIC_HEIGHT)
    for told, start, end in _copies(seconds):
        left, right = _x(start, seconds), _x(end, seconds)
        height = TRAFFIC_HEIGHT * told / 100
        y = TRAFFIC + TRAFFIC_HEIGHT - height
        yield f'<rect class="copy" x="{left:.1f}" y="{y:.1f}" width="{right - left:.1f}" height="{height:.1f}"/>'
    for share in (0, 50, 100):
        y = TRAFFIC + TRAFFIC_HEIGHT * (1 - share / 100)
        yield f'<text class="dim" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share} %</text>'
        yield f'<path class="line" d="M{LEFT - 3} {y:.1f}H{LEFT}"/>'


def _copies(seconds: list[Second]) -> Iterator[tuple[int, int, int]]:
    at = 0
    for copied, group in itertools.groupby(one.copied for one in seconds):
        length = len(list(group))
        if copied:
            yield copied, at, at + length
        at += length


def _pods(seconds: list[Second]) -> Iterator[str]:
    most = 2 * REPLICAS
    new = [one.pods[0] / most for one in seconds]
    both = [sum(one.pods) / most for one in seconds]
    yield f'<text class="dim" x="{LEFT}" y="{PODS - 6}">ready pods</text>'
    yield _area("old", seconds, new, both, PODS, PODS_HEIGHT)
    yield _area("new", seconds, [0.0] * len(seconds), new, PODS, PODS_HEIGHT)
    for count in (0, REPLICAS, most):
        y = PODS + PODS_HEIGHT * (1 - count / most)
        yield f'<text class="dim" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{count}</text>'
        yield f'<path class="line" d="M{LEFT - 3} {y:.1f}H{LEFT}"/>'


def _errors(seconds: list[Second]) -> Iterator[str]:
    """A mark where users meet the first error."""
    first = next((at for at, one in enumerate(seconds) if one.failed), None)
    if first is not None:
        x = _x(first, seconds)
        yield f'<path class="mark" d="M{x:.1f} {TRAFFIC}V{TRAFFIC + TRAFFIC_HEIGHT}"/>'
        yield f'<text x="{x - 5:.1f}" y="{TRAFFIC + 32}" text-anchor="end">errors begin</text>'


def _clock(seconds: list[Second]) -> Iterator[str]:
    y = PODS + PODS_HEIGHT
    yield f'<path class="line" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>'
    for second in range(0, len(seconds) - BEFORE, 60):
        x = _x(second + BEFORE, seconds)
        yield f'<path class="line" d="M{x:.1f} {y}V{y + 4}"/>'
        yield f'<text class="dim" x="{x:.1f}" y="{y + 18}" text-anchor="middle">{_minutes(second)}</text>'


def pictures() -> Iterator[tuple[str, str]]:
    """Each picture's file name and text."""
    for name, (play, title) in PICTURES.items():
        yield f"{name}.svg", draw(play(), title)


def main() -> None:
    """Write them all."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pictures():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
