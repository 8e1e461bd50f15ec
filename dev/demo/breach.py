"""When could anybody have known? The first scrape in which a counter shows the candidate's errors."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from datetime import UTC, datetime

SERIES = {
    "Gateway": (
        'envoy_cluster_upstream_rq_xx{{envoy_response_code_class="5",'
        'envoy_cluster_name="httproute/{namespace}/{model}/rule/0/backend/{slot}"}}'
    ),
    "Runtime": (
        'rest_server_requests_total{{namespace="{namespace}",pod=~"{model}-{revision}-.*",'
        'method="POST",status_code=~"5.."}}'
    ),
}
"""Error counters of one revision, by who counts."""


def first_breach(
    prometheus: str, source: str, *, namespace: str, model: str, revision: str, slot: int, since: datetime
) -> datetime | None:
    """The time of the first raw sample after `since` that is above the last one before it."""
    selector = SERIES[source].format(namespace=namespace, model=model, revision=revision, slot=slot)
    seconds = int((datetime.now(UTC) - since).total_seconds()) + 15
    query = urllib.parse.urlencode({"query": f"{selector}[{seconds}s]"})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query?{query}", timeout=10) as answer:
        result = json.load(answer)["data"]["result"]
    found = []
    for series in result:
        samples = [(float(at), float(value)) for at, value in series["values"]]
        before = [value for at, value in samples if at < since.timestamp()]
        base = before[-1] if before else 0.0
        found += [at for at, value in samples if at >= since.timestamp() and value > base][:1]
    return datetime.fromtimestamp(min(found), UTC) if found else None


def parse_time(text: str) -> datetime:
    """A time of the Kubernetes API."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
