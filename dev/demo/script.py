"""What happens in the demo, act by act."""

from __future__ import annotations

from dataclasses import dataclass

NAMESPACE = "demo"
MODEL = "breast-cancer"
HOST = "breast-cancer.example.com"
RATE = 100
"""Requests a second, from the first act to the last."""


@dataclass(frozen=True)
class Act:
    """One version of the model, and how its trial has to end."""

    version: str
    what: str
    ends: str
    """The phase at the end: Stable or RolledBack."""
    reason: str
    """The reason in the history entry."""
    seconds: float
    """After which the demo gives up."""
    unseen: bool = False
    """Whether no user may be answered by it."""


ACTS = (
    Act("v1", "the first model", "Stable", "Promoted", 120),
    Act("v2", "a healthy retrain", "Stable", "Promoted", 300),
    Act("v3", "the silent killer: a feature is scaled twice when serving", "RolledBack", "PreflightFailed", 120, True),
    Act("v4", "errors once it gets a real share of the traffic", "RolledBack", "CheckFailed", 300),
    Act("v5", "right on every recorded row, and wrong on live ones", "RolledBack", "CheckFailed", 300, True),
)

INTRO = """\
Seatrial, the main job on a real cluster

  1  a Kubernetes node with a gateway (Envoy) and Prometheus; the operator, built and installed by its chart
  2  v1: a scikit-learn pipeline on the breast-cancer data, in MLServer, becomes stable
     from here on {rate} requests a second with rows of the data, each answer compared with the right one
  3  v2: a healthy retrain takes 5, 25, 50 and 100 % by itself
  4  v3: 200 OK, normal speed, wrong answers: stopped before a single user meets it
  5  v4: fails a share of its requests at 25 %: sent back
  6  v5: what no recorded row shows: stopped on copies of live requests, by what it says
  7  what was sent, what was lost, who decided what

  where     {where}
  time      {time}
  disk      {disk}
  leaves    {leaves}
"""

NEXT = """\
It goes on running. What to try next:

  eval "$({python} -m dev cluster env {cluster})"
  {seatrial} get {model} -n {namespace} -w
  {seatrial} why {model} -n {namespace}
  kubectl apply -f examples/demo/v2.yaml     # a version you have seen, or one of your own
  kubectl -n {namespace} edit httproute {model}        # move a weight by hand, and look again
  {python} -m dev.traffic --address {gateway} --host {host} \\
      --path /v2/models/{model}/infer --requests {requests} --rate 100 --seconds 300

To remove it all:  {python} -m dev cluster down {cluster}
"""
