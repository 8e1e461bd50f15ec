"""What a model says, as metrics: a histogram of its scores, and its decisions counted.

    from seatrial_scores import Scores

    scores = Scores(decisions=("allow", "block"))
    scores.observe(probability, decision="block")

| Metric | Holds |
|---|---|
| `model_score` | a histogram of scores from 0 to 1, with the edges `EDGES` |
| `model_decisions_total` | a counter, by the label `decision` |

They are in `prometheus_client`'s own registry, so whatever shows that shows them: `start_http_server`, an ASGI or WSGI
app, several processes with `PROMETHEUS_MULTIPROC_DIR`, MLServer with and without parallel workers. MLServer's own
`mlserver.log` would not do: it makes histograms only, with edges for seconds, in a registry that its endpoint
does not show where `parallel_workers` is 0.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Histogram

__all__ = ["EDGES", "MOST_DECISIONS", "OTHER", "Scores"]

_HALF = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4)

EDGES = (*_HALF, 0.5, *(round(1 - edge, 5) for edge in reversed(_HALF)), 1.0)
"""Upper edges of the buckets, the same seen from 0 and from 1. Above 1 is what is no score.

36, so that a histogram is 40 series at most. A training pipeline may count its own scores with them.
"""
OUTSIDE = 2.0
"""Where a score goes that is none: the last bucket, which has no upper edge."""

MOST_DECISIONS = 20
"""Different decisions that are counted by name. A label that anybody can fill would fill Prometheus."""
OTHER = "other"
"""The decision of all beyond these."""


class Scores:
    """Counts the scores and decisions of one model.

    Make it once, where the model is loaded, not where it answers. Two for the same model count into the same metrics.
    """

    def __init__(
        self, *, decisions: Iterable[str] = (), model: str = "", registry: CollectorRegistry | None = None
    ) -> None:
        """Register the metrics.

        `decisions` are those known beforehand. Their series begin at 0, so that the first of a rare one is seen as one;
        a series that begins with its first event may as well have been there before.
        `model` is the label `model` of all series, needed where one server has several models.
        `registry` is prometheus_client's own unless said otherwise.
        """
        try:
            import prometheus_client  # noqa: PLC0415 - EDGES are of use where it is not installed
        except ImportError as error:
            raise ImportError("Scores needs the package prometheus-client: add it to the model's image") from error
        metrics = _metrics(registry or prometheus_client.REGISTRY)
        self._model = model
        self._histogram = metrics.histogram.labels(model)
        self._counter = metrics.counter
        self._known: dict[str, Counter] = {}
        for decision in decisions:
            self._decided(decision)

    def observe(self, score: float, decision: str | None = None) -> None:
        """Count one answer: its score from 0 to 1, and what was decided on it, where anything was.

        What is no score (below 0, above 1, NaN) is counted in the last bucket, so a model that suddenly answers
        with percentages or NaN is seen, and its answer is not touched.
        """
        value = float(score)
        self._histogram.observe(value if 0 <= value <= 1 else OUTSIDE)
        if decision is not None:
            self._decided(decision).inc()

    def _decided(self, decision: str) -> Counter:
        known = self._known.get(decision)
        if known is not None:
            return known
        name = decision if len(self._known) < MOST_DECISIONS else OTHER
        counter = self._counter.labels(self._model, name)
        if name == decision:
            self._known[decision] = counter
        return counter


class _Metrics:
    """The two metrics of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        from prometheus_client import Counter, Histogram  # noqa: PLC0415 - as above

        self.histogram: Histogram = Histogram(
            "model_score", "Scores of the model, from 0 to 1.", ["model"], buckets=EDGES, registry=registry
        )
        self.counter: Counter = Counter(
            "model_decisions", "Decisions on these scores.", ["model", "decision"], registry=registry
        )


_REGISTERED: weakref.WeakKeyDictionary[CollectorRegistry, _Metrics] = weakref.WeakKeyDictionary()


def _metrics(registry: CollectorRegistry) -> _Metrics:
    """Those of this registry; a name can be registered once only."""
    found = _REGISTERED.get(registry)
    if found is None:
        found = _REGISTERED[registry] = _Metrics(registry)
    return found
