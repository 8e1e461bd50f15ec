"""Pods: broken, waiting for something else, or fine."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from seatrial.api.status import BackReason
from seatrial.core.health import broken, image_problem, missing_capacity
from seatrial.core.state import Pod, Workload

POD = Pod("iris-1", "198.18.0.7", datetime(2026, 3, 2, tzinfo=UTC), ready=True, image_ids=("x@sha256:1",))


def workload(*pods: Pod, quota: str = "") -> Workload:
    return Workload("aaaaaaaaaa", "uid", len(pods), pods, quota)


def pod(**changes: object) -> Pod:
    return dataclasses.replace(POD, **changes)  # type: ignore[arg-type] # a table of cases


@pytest.mark.parametrize(
    ("pods", "reason", "says"),
    [
        ((pod(restarts=1),), None, ""),
        ((pod(restarts=1), pod(name="iris-2", restarts=1)), BackReason.PODS_FAILED, "restarted 2 times (limit 2)"),
        (
            (pod(restarts=3, last_exit="exit code 1 (Error): boom"),),
            BackReason.PODS_FAILED,
            "last exit code 1 (Error): boom",
        ),
        ((pod(oom_kills=1),), BackReason.PODS_FAILED, "pod iris-1 was killed for memory"),
        ((pod(), pod(name="iris-2", image_ids=("x@sha256:2",))), BackReason.IMAGE_MOVED, "2 different images"),
        ((pod(), pod(name="iris-2", image_ids=("",))), None, ""),
        ((pod(restarts=9, leaving=True),), None, ""),
    ],
)
def test_broken(pods: tuple[Pod, ...], reason: BackReason | None, says: str) -> None:
    """What sends a candidate back, whatever Prometheus says; a pod on its way out does not count."""
    found = broken(workload(*pods))
    assert (found.reason if found else None) is reason
    assert found is None or says in found.message


def test_an_image_that_cannot_be_had_is_told_with_the_registrys_words() -> None:
    lacking = workload(pod(ready=False, waiting="ErrImagePull", waiting_message="not found"))
    assert image_problem(lacking) == "ErrImagePull on pod iris-1: not found"
    assert missing_capacity(lacking) is None


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (workload(quota="exceeded quota: gpus"), "no pod can be created: exceeded quota: gpus"),
        (workload(pod(ready=False, unschedulable="0/3 nodes")), "finds no node: 0/3 nodes"),
        (
            workload(
                pod(
                    ready=False,
                    unschedulable="0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient example.com/gpu. "
                    "no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims.",
                )
            ),
            "finds no node with enough cpu and example.com/gpu: 0/1 nodes are available",
        ),
        (workload(pod(ready=False, waiting="ContainerCreating")), "is being created"),
        (workload(pod(ready=False, waiting="CrashLoopBackOff")), ""),
        (workload(pod(ready=False)), ""),
        (workload(pod()), ""),
    ],
)
def test_missing_capacity_is_not_the_models_fault(seen: Workload, says: str) -> None:
    found = missing_capacity(seen)
    assert says in (found.message if found is not None else "")
    assert (found is not None) == bool(says)
    assert found is None or "preemption" not in found.message
