"""Which presets can serve a check, and sentences for where none can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seatrial.api.spec import Check, CheckPreset, MetricSource, Runtime
from seatrial.core.checks.preset import Preset

_COUNTED = {
    CheckPreset.ERRORS: "no counter of errors",
    CheckPreset.LATENCY: "no metric of the time to an answer",
    CheckPreset.FIRST_TOKEN: "no metric of the time to the first token",
    CheckPreset.INTER_TOKEN: "no metric of the time between tokens",
}
OF_TOKENS = frozenset({CheckPreset.FIRST_TOKEN, CheckPreset.INTER_TOKEN})
"""What no gateway sees."""


def readable(check: Check, runtime: Runtime, presets: Mapping[str, Preset], *, gateway: bool) -> list[Preset]:
    """Presets that hold what a preset of a check counts, the gateways' first, each in the order of their names."""
    usable = [
        preset
        for preset in presets.values()
        if not preset.only_by_query
        and (gateway or preset.source is not MetricSource.GATEWAY)
        and (not preset.runtimes or runtime in preset.runtimes)
        and check.source in (None, preset.source)
        and preset.answers(check.preset)
    ]
    return sorted(usable, key=lambda preset: (preset.source is not MetricSource.GATEWAY, preset.name))


def lacking(check: Check, runtime: Runtime, presets: Mapping[str, Preset]) -> str:
    """Why the runtime's own metrics do not serve a check, without full stop; empty where they do, or nobody asks them."""
    if check.preset is None or check.source is MetricSource.GATEWAY:
        return ""
    own = next((p for p in presets.values() if runtime in p.runtimes and not p.only_by_query), None)
    if own is None or own.answers(check.preset):
        return ""
    if check.preset is CheckPreset.LATENCY and own.mean is not None:
        return f"p95 is unavailable for runtime {runtime}: its metrics have a mean only"
    return f"runtime {runtime} has {_COUNTED[check.preset]}"


def nothing(check: Check, runtime: Runtime, why: str, *, gateway: bool) -> str:
    """The refusal where no preset holds what a check counts; `why` as `lacking` says it."""
    wanted = f"from: {check.source}" if check.source else f"runtime {runtime}"
    said = why or f"there is no metric preset for {wanted}"
    if check.preset in OF_TOKENS:
        return f"{said}: remove the check, or write a query"
    instead = "use from: Gateway, or write a query" if gateway else "no gateway counts here: write a query"
    return f"{said}; {instead}" if why else f"{said}: {instead}"


def unseen(revision: str, looked_for: Sequence[tuple[Preset, str, str]], why: str) -> str:
    """The refusal where Prometheus holds no series of any of them: each with its selector, and the nearest names.

    Gateways after the first are named only; `seatrial presets NAME` shows their selectors.
    """
    said, named = [], set[MetricSource]()
    others = []
    for preset, selector, nearest in looked_for:
        if preset.source in named:
            others.append(preset.title)
        else:
            named.add(preset.source)
            said.append(f"{preset.title}: {selector}{nearest}")
    if others:
        said.append(f"and for {', '.join(others)}")
    return (
        f"stable revision {revision} has no series in the last hour, so nothing could be compared. "
        f"Looked for {' · '.join(said)}. {why + '. ' if why else ''}Have Prometheus scrape it, or judge by a query"
    )
