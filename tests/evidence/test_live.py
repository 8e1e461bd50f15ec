"""Live predictions looked at again and again in windows that overlap: how often an alert is wrong, and how soon it is right."""

from __future__ import annotations

from datetime import timedelta

import pytest

from seatrial.api.spec import Drift
from seatrial.core import live
from seatrial.core.checks.judging import FALSE_ALARM, FALSE_PASS
from seatrial.core.checks.predictions import Comparison
from seatrial.core.statistics import drift

EVERY = timedelta(minutes=10)
AT_THE_LIMIT = 0.5074
"""Standard deviations by which a normal distribution moves for a PSI of 0.25 over these bins."""
CUTS = (*(k / 10 for k in range(1, 10)), 0.99, 0.999)


@pytest.mark.parametrize("clump", [1, 3])
def test_twelve_hours_of_looks_at_the_limit_within_it_and_beyond(clump: int) -> None:
    """At the limit, where the promise is hardest to keep, nothing is said; a whole standard deviation away all are found."""
    numpy = pytest.importorskip("numpy")
    normal = pytest.importorskip("scipy.stats").norm
    random = numpy.random.default_rng(31)
    edges = normal.ppf(CUTS)
    asked, marks = Drift(histogram="model_score"), [str(edge) for edge in edges]
    trained = [round(20_000 * share) for share in numpy.diff([0, *normal.cdf(edges), 1])]

    def said(shift: float, looks: int) -> list[str]:
        """Of one model with 3,000 predictions an hour that come in clumps, at each look."""
        shares = numpy.diff([0, *normal.cdf(edges - shift), 1])
        minutes = clump * random.poisson(50 / clump * shares, size=(60 + 10 * (looks - 1), len(shares)))
        out = []
        for look in range(looks):
            window = minutes[10 * look : 10 * look + 60]
            inflation = drift.inflation(window.tolist())
            both = Comparison(asked, marks, window.sum(0).tolist(), trained, inflation)
            if both.above(live.nats(EVERY, FALSE_ALARM)):
                out.append("drifted")
            else:
                out.append("within" if both.below(live.nats(EVERY, FALSE_PASS)) else "undecided")
        return out

    assert drift.psi(
        numpy.diff([0, *normal.cdf(edges - AT_THE_LIMIT), 1]), numpy.diff([0, *normal.cdf(edges), 1])
    ) == pytest.approx(0.25, abs=0.001)
    at_the_limit = [verdict for _ in range(10) for verdict in said(AT_THE_LIMIT, 72)]
    assert set(at_the_limit) == {"undecided"}
    assert said(0.0, 10).count("within") >= (9 if clump == 1 else 0)
    assert "drifted" not in said(0.0, 20)
    moved = [said(1.0, 6) for _ in range(10)]
    assert all("drifted" in verdicts for verdicts in moved), "within an hour of full windows"
    assert not any("within" in verdicts for verdicts in moved)
