"""Who made what is on trial, and whether somebody may approve it who asks for a second person's sake.

Kubernetes keeps no author. Where the chart's admission policies are installed (`authority-authors.yaml`), the
API server writes the annotation `seatrial.dev/spec-by`: who made the revision, and everybody who changed the
spec since, as words. Where they are not, or where the author is an account that applies what others wrote,
nobody can be told from the author, and nothing is approved on a guess.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from seatrial.api.status import Status
from seatrial.core.commands import unescape
from seatrial.core.passing import Pass


def hold(p: Pass, status: Status) -> Status:
    """A gate that nobody could ever pass is told of before the trial, and not hours into it."""
    if _second_person_wanted(p, status) and (problem := unknown(p)):
        p.stalled(status, "AuthorUnknown", f"an approval with notAuthor cannot be given: {problem}")
    return status


def unknown(p: Pass) -> str:
    """Why the author of what is on trial is not known: a sentence, or empty."""
    if not p.installation.authors_kept:
        return (
            "nothing here keeps the author of a revision; install the chart with authority.commands and "
            "authority.authors on Kubernetes 1.36 or newer, or remove notAuthor"
        )
    authors = authors_of(p)
    if not authors:
        return (
            "this revision was made before authors were kept; apply another revision, or remove notAuthor until "
            "this one is accepted"
        )
    for author in authors:
        if any(fnmatchcase(author, pattern) for pattern in p.installation.gitops_accounts):
            return (
                f"the author on record is {author}, which applies what others wrote; ask for a second person where "
                "changes are merged, and remove notAuthor"
            )
    return ""


def barred(p: Pass, by: str) -> str:
    """Why somebody may not approve under `notAuthor`: a sentence, or empty."""
    if problem := unknown(p):
        return problem
    if by in authors_of(p):
        return f"{by} made or changed what is on trial, and this gate wants somebody else (notAuthor)"
    return ""


def authors_of(p: Pass) -> tuple[str, ...]:
    """Who made the revision that the spec asks for, then who changed the spec since."""
    return tuple(unescape(word) for word in p.observed.spec_by.split())


def _second_person_wanted(p: Pass, status: Status) -> bool:
    """Whether a gate that is not for the author lies ahead, in this trial or in the one that is to begin."""
    rollout = status.rollout
    if status.stable is None or (rollout is None and (p.wanted == status.stable or status.rejected is not None)):
        return False
    if rollout is not None and (rollout.drill or rollout.back or rollout.promoting or rollout.skipped_checks):
        return False
    here, passed = (rollout.step, rollout.approved) if rollout is not None else (0, [])
    return any(
        leg.approval is not None and leg.approval.not_author and f"{index}/{leg.approval.when}" not in passed
        for index, leg in enumerate(p.legs)
        if index >= here
    )
