"""Pods of a candidate: broken, waiting for something outside the model, or fine. Kubernetes only."""

from __future__ import annotations

import re
from dataclasses import dataclass

from seatrial.api.status import BackReason
from seatrial.core.state import Workload

MAX_RESTARTS = 2
MAX_OOM_KILLS = 1
IMAGE_ERRORS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
BEING_CREATED = frozenset({"ContainerCreating", "PodInitializing"})


@dataclass(frozen=True, slots=True)
class Broken:
    """The candidate itself is at fault."""

    reason: BackReason
    message: str


def broken(workload: Workload) -> Broken | None:
    """Whether pods crashed, were killed for memory, or run different images under one revision."""
    pods = [pod for pod in workload.pods if not pod.leaving]
    kills = sum(pod.oom_kills for pod in pods)
    if kills >= MAX_OOM_KILLS:
        name = next(pod.name for pod in pods if pod.oom_kills)
        return Broken(
            BackReason.PODS_FAILED,
            f"pod {name} was killed for memory ({kills} of {MAX_OOM_KILLS} OOM kills allowed before going back): "
            "raise its memory limit",
        )
    restarts = sum(pod.restarts for pod in pods)
    if restarts >= MAX_RESTARTS:
        worst = max(pods, key=lambda pod: pod.restarts)
        why = f", last {worst.last_exit}" if worst.last_exit else ""
        return Broken(
            BackReason.PODS_FAILED,
            f"pods restarted {restarts} times (limit {MAX_RESTARTS}), most of them {worst.name}{why}",
        )
    images = sorted({pod.image_ids for pod in pods if pod.image_ids and all(pod.image_ids)})
    if len(images) > 1:
        return Broken(
            BackReason.IMAGE_MOVED,
            f"pods of one revision run {len(images)} different images ({_brief(images[0])} and {_brief(images[1])}): "
            "the tag was moved during the trial; pin the image by digest",
        )
    return None


def _brief(ids: tuple[str, ...]) -> str:
    return ", ".join(image.rsplit("@", 1)[-1][:19] for image in ids)


def image_problem(workload: Workload) -> str:
    """The registry's message when an image cannot be had, or an empty text."""
    for pod in workload.pods:
        if not pod.leaving and pod.waiting in IMAGE_ERRORS:
            return f"{pod.waiting} on pod {pod.name}: {pod.waiting_message or 'no message'}"
    return ""


@dataclass(frozen=True, slots=True)
class Lacking:
    """Pods wait for something that is not the model's fault."""

    message: str
    reason: BackReason = BackReason.NO_CAPACITY
    """How the trial ends where it never comes."""


def missing_capacity(workload: Workload) -> Lacking | None:
    """What the pods wait for that is not the model's fault: quota, a node, an image on its way. Time spent so
    does not count against the progress deadline; it has one of its own."""
    if workload.quota:
        return Lacking(f"no pod can be created: {workload.quota}")
    waiting = [pod for pod in workload.pods if not pod.leaving and not pod.ready]
    for pod in waiting:
        if pod.unschedulable:
            return Lacking(f"pod {pod.name} finds no node{_with_enough(pod.unschedulable)}")
    creating = [pod for pod in waiting if pod.waiting in BEING_CREATED]
    if creating:
        message = f"pod {creating[0].name} is being created (image pull, volumes)"
        return Lacking(message, BackReason.PROGRESS_DEADLINE)
    return None


def _with_enough(scheduler: str) -> str:
    """The scheduler's message with what is lacking in front: `example.com/gpu` of `1 Insufficient example.com/gpu`."""
    said = scheduler.partition(" preemption: ")[0]
    short = list(dict.fromkeys(re.findall(r"Insufficient ([\w./-]*\w)", said)))
    return f" with enough {' and '.join(short)}: {said}" if short else f": {said}"
