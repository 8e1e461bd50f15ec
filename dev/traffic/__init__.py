"""A constant-rate client that never retries: what it says was lost, was lost.

It is an open loop: request k is due at `start + k / rate` whatever happened to
the ones before, so a server that stalls cannot make it send less. Every request
has a deadline, and ends as answered or lost, never as neither.

    with TrafficClient(("198.18.0.9", 80), "iris.example.com", "/v2/models/iris/infer", requests, rate=100) as traffic:
        ...
    assert traffic.report.lost == {}

`python3 -m dev.traffic --help` is the same client as a command.
"""

from dev.traffic.client import TrafficClient
from dev.traffic.crowd import Crowd
from dev.traffic.report import Loss, Report, Request, Second

__all__ = ["Crowd", "Loss", "Report", "Request", "Second", "TrafficClient"]
