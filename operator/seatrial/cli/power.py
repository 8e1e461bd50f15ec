"""How long a plan takes to decide at a given traffic, for `lint`: each step, a good candidate and a plain rise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from seatrial.api import crd
from seatrial.api.lint import Finding, Severity
from seatrial.api.spec import ModelDeploymentSpec
from seatrial.cli.numbers import Numbers
from seatrial.core.checks.forecast import PLAINLY, Stable, decisions, discovery, told, warning
from seatrial.core.checks.terms import terms_of
from seatrial.core.plain import percent
from seatrial.simulate.course import course


def power(document: dict[str, Any], known: Numbers) -> Iterator[Finding | str]:
    """Lines for each step of each check whose share is known, and a warning where the plan cannot decide or is slow.

    The document has no error. What is not known is not said.
    """
    spec = ModelDeploymentSpec.model_validate(crd.with_defaults(document)["spec"])
    found = course(document["metadata"]["name"], spec)
    counted = sum(1 for check in spec.analysis.checks if check.query is None)
    place = {check.name: index for index, check in enumerate(spec.analysis.checks)}
    for check in found.checks:
        share = known.of(check)
        if share is None:
            continue
        terms, stable = terms_of(check), Stable(known.rate, share, known.clump)
        given = (found.interval, found.min_samples)
        for decided in decisions(terms, stable, found.legs, *given):
            leg = decided.leg
            requests = known.rate * (leg.weight or leg.mirror) / 100.0 * leg.min_duration.total_seconds()
            passes = "never passes" if decided.seconds is None else f"passes in about {told(decided.seconds)}"
            line = f"check {check.name}, {leg.told()}: {requests:,.0f} requests in its minDuration; a candidate as good as stable {passes}"
            if not terms.sides[0]:
                seconds = discovery(terms, stable, leg, found.interval, counted)
                rise = f"a rise from {percent(share)} to {percent(min(share + PLAINLY, 0.99))}"
                line += f"; {rise} is {'never found' if seconds is None else f'found in about {told(seconds)}'}"
            yield line
        if sentence := warning(check.name, terms, stable, found.legs, *given, counted):
            path = (
                f"spec.analysis.checks[{place[check.name]}]"
                if "checks" in (document["spec"].get("analysis") or {})
                else "spec.strategy"
            )
            yield Finding(path, sentence, Severity.WARNING)
