"""The end of the demo: what was sent and lost, and who decided what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dev.demo.script import Act
from dev.traffic import Report


@dataclass(frozen=True)
class Ending:
    """How one act ended."""

    act: Act
    revision: str
    seconds: float
    """From `kubectl apply` to the end."""
    outcome: str
    reason: str
    message: str
    to_minimum: float | None = None
    """Seconds from the first scrape that shows the breach to the candidate confirmed at the minimum weight."""

    @property
    def as_planned(self) -> bool:
        """Whether it ended as the script says."""
        return self.reason == self.act.reason

    @property
    def who(self) -> str:
        """What decided, in a few words."""
        decided = {
            "Promoted": "the operator, on its checks" if self.act.version != "v1" else "readiness and preflight",
            "PreflightFailed": "preflight",
            "CheckFailed": "the operator, on its checks" if not self.act.unseen else "the operator, on copies",
            "PodsFailed": "the operator, on its pods",
        }
        return decided.get(self.reason, self.reason)


def lost(report: Report, endings: Sequence[Ending]) -> int:
    """Requests lost, without the wrong answers that a bad version gave itself while it was on trial."""
    return report.lost_beside(*(e.revision for e in endings if e.act.ends == "RolledBack"))


def met(report: Report, endings: Sequence[Ending]) -> list[str]:
    """A sentence for each version that answered users although nobody should have met it."""
    answered = {e: report.revisions.get(e.revision, 0) + report.lost_by.get(e.revision, 0) for e in endings}
    return [
        f"{e.act.version} answered {count:,} requests of users, and none was to reach it"
        for e, count in answered.items()
        if e.act.unseen and count
    ]


def text(report: Report, endings: Sequence[Ending]) -> str:
    """The table."""
    rows = [("VERSION", "REVISION", "OUTCOME", "AFTER", "DECIDED BY", "ANSWERED", "WRONG")]
    for e in endings:
        good, bad = report.revisions.get(e.revision, 0), report.lost_by.get(e.revision, 0)
        rows.append((e.act.version, e.revision, e.outcome, f"{e.seconds:.0f} s", e.who, f"{good + bad:,}", f"{bad:,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    right = {3, 5, 6}
    out = ["  ".join(_pad(cell, widths[i], right=i in right) for i, cell in enumerate(row)).rstrip() for row in rows]
    out.append("")
    out += [f"{e.act.version}: {e.message}" for e in endings]
    out.append("")
    back = [e for e in endings if e.to_minimum is not None]
    for e in back:
        out.append(
            f"{e.act.version} went back in   {e.to_minimum:.1f} s, from the first scrape that shows an error to one request in a million"
        )
    quick = report.latency
    out += [
        f"requests sent       {report.sent:,} at a constant rate, none tried twice",
        f"requests lost       {lost(report, endings):,}",
        f"answered in         {1000 * quick.get('p50', 0):.1f} ms (median), {1000 * quick.get('p99', 0):.1f} ms (99 %)",
    ]
    return "\n".join(out)


def _pad(cell: str, width: int, *, right: bool) -> str:
    return cell.rjust(width) if right else cell.ljust(width)
