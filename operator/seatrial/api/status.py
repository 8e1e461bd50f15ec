"""`ModelDeployment.status`: what runs, what was decided and why.

Status is the operator's memory: a restart reads it and goes on. It is also untrusted input, since
anyone with the right may edit it; `core/recover.py` checks it against the cluster before it is believed.
Times are absolute. Nothing in here changes unless something happened.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from seatrial.api.base import Amount, Duration, Model, Number, Sentence, Time
from seatrial.api.spec import MetricSource, RouterKind

RevisionName = Annotated[str, StringConstraints(max_length=16, pattern=r"^[0-9a-f]{10}$")]
TrialName = Annotated[str, StringConstraints(max_length=16, pattern=r"^[0-9a-f]{10}$")]
Short = Annotated[str, StringConstraints(max_length=253)]

PARTS = 1_000_000
"""A route counts in parts of a million; status speaks of percent."""


class Phase(StrEnum):
    """Where the resource is. Overlays are said beside it."""

    PENDING = "Pending"
    """Accepted by the API server, nothing is decided yet, or nothing can begin."""
    PREPARING = "Preparing"
    """A revision is being started, warmed and checked before any traffic."""
    SHADOW = "Shadow"
    """The candidate gets copies of live requests; its answers go nowhere."""
    CANARY = "Canary"
    """The candidate answers a share of live traffic."""
    BLUE_GREEN = "BlueGreen"
    """The candidate stands in full size behind its preview address, without live traffic."""
    PROMOTING = "Promoting"
    """All traffic moves to the candidate; stable still waits in full size."""
    PROBATION = "Probation"
    """The wanted revision serves; the one before is kept, and going back needs no trial."""
    STABLE = "Stable"
    """One revision serves, and it is the wanted one."""
    ROLLING_BACK = "RollingBack"
    """Traffic leaves the candidate."""
    ROLLED_BACK = "RolledBack"
    """The wanted revision was sent back; stable serves."""
    FAILED = "Failed"
    """The first revision never served."""
    SUSPENDED = "Suspended"
    """`spec.suspend` is set: nothing is written but status."""
    PARKED = "Parked"
    """`spec.replicas` is 0."""
    DRILL = "Drill"
    """The wanted revision serves, and going back is practised with a copy of it."""


class Outcome(StrEnum):
    """What a check says. Only Fail acts, only Pass advances."""

    PASS = "Pass"
    FAIL = "Fail"
    INCONCLUSIVE = "Inconclusive"
    NO_DATA = "NoData"
    ERROR = "Error"


class OverlayKind(StrEnum):
    """Why a trial does not advance although nothing failed."""

    PAUSED = "Paused"
    AWAITING_APPROVAL = "AwaitingApproval"
    HOLDING = "Holding"
    BLOCKED = "Blocked"
    FROZEN = "Frozen"


class Condition(Model):
    """A condition as kstatus and `kubectl wait` read it."""

    type: Short
    """`Ready`, `Reconciling`, `Stalled` or `Available`."""
    status: Annotated[str, StringConstraints(pattern="^(True|False|Unknown)$", max_length=7)]
    """`True`, `False` or `Unknown`."""
    reason: Short
    """One CamelCase word."""
    message: Sentence
    """The sentence for a person."""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The generation this was said of."""
    last_transition_time: Time
    """When `status` last changed."""


class Slots(Model):
    """Which revision is behind each of the route's two backends; unset means empty."""

    a: RevisionName | None = None
    """The first backend."""
    b: RevisionName | None = None
    """The second backend."""


class Split(Model):
    """Weights of the two backends, in parts of a million."""

    a: Annotated[int, Field(ge=0, le=PARTS)] = 0
    """The first backend."""
    b: Annotated[int, Field(ge=0, le=PARTS)] = 0
    """The second backend."""


class Accepted(Model):
    """Since when the gateway has accepted the route as it is."""

    generation: int
    """The route's generation."""
    since: Time
    """When we first saw it accepted by every parent."""


class Mirror(Model):
    """Copies of live requests."""

    revision: RevisionName
    """Who gets them."""
    percent: Annotated[int, Field(ge=1, le=100)]
    """Percent of live requests that are copied."""
    compared: bool = False
    """Some copies go to a comparer too."""


class Reset(Model):
    """Somebody else wrote the rule that we steer."""

    manager: Short
    """Who, as the API server knows the writer: a field manager."""
    generation: int
    """The route's generation, so that one write is counted once."""
    at: Time
    """When we saw it."""


class Borrowed(Model):
    """A rule of a route that is not ours, while its backends are."""

    route: Short
    """The HTTPRoute's name."""
    rule: Short
    """The rule's name."""
    original: Annotated[str, StringConstraints(max_length=16384)]
    """Its `backendRefs` as its owner wrote them last, as JSON; empty where there were none. They are put back."""
    index: Annotated[int, Field(ge=0, le=64)] | None = None
    """Position of the rule as the proxies are known to have it: gateways name what they count by it."""
    ahead: Annotated[int, Field(ge=0, le=64)] | None = None
    """Filters of its owner before our copies, which are counted by that."""
    resets: Annotated[list[Reset], Field(max_length=4)] = []
    """Who reset the rule lately, the latest last."""
    contested: Sentence = ""
    """Somebody keeps resetting the rule, and it is left to them: who, and what to do."""
    returning_since: Time | None = None
    """Since when the rule goes back to its owner."""
    returned: Accepted | None = None
    """Since when the gateway has accepted the route with its owner's rule in it."""


class Sticky(Model):
    """Users who are kept with one revision. While there is no trial, nobody is."""

    trial: TrialName | None = None
    """Names the trial in the marks that users bear, so that those of an earlier one mean nothing."""
    revision: RevisionName | None = None
    """Whom users are drawn for."""
    drawn: Annotated[list[Annotated[int, Field(ge=1, le=99)]], Field(max_length=64)] = []
    """Percent at which users have been drawn so far, rising."""


class TrafficStatus(Model):
    """The route: what was asked of it and what the proxies are known to do."""

    router: RouterKind | None = None
    """What divides the requests."""
    slots: Slots = Slots()
    """Revisions behind the two backends."""
    wanted: Split = Split()
    """Weights last written."""
    confirmed: Split = Split()
    """Weights the gateway accepted, a dwell time ago."""
    mirror: Mirror | None = None
    """Copies last written; unset means none."""
    preview: RevisionName | None = None
    """Who answers behind the preview header."""
    sticky: Sticky | None = None
    """Whom the rules for users who bear a mark keep where; unset while the route has no such rules."""
    accepted: Accepted | None = None
    """Acceptance of the present generation."""
    unsettled_since: Time | None = None
    """Since when a change of the route waits for its confirmation."""
    idle_since: Time | None = None
    """Since when the backend without traffic is confirmed at 0; its drain counts from here."""
    borrowed: Borrowed | None = None
    """The rule of a team's own route, where requests come in through one."""


class Tally(Model):
    """Requests counted, and how many of them were the bad kind."""

    events: Annotated[int, Field(ge=0)] = 0
    """Errors, or slow requests."""
    total: Annotated[int, Field(ge=0)] = 0
    """All requests."""


class Arms(Model):
    """The same count on both sides over the same time."""

    stable: Tally = Tally()
    """The accepted revision."""
    candidate: Tally = Tally()
    """The revision on trial."""


MOST_BINS = 24
"""Bins of a drift check at the most."""
BinCounts = Annotated[list[Annotated[int, Field(ge=0, le=10**15)]], Field(max_length=MOST_BINS)]
"""Predictions by bin."""
Nats = Annotated[list[Annotated[int, Field(ge=-(10**9), le=10**9)]], Field(max_length=8)]
"""Logarithms of evidence by alternative, in thousandths of a nat."""
Thousandths = Annotated[int, Field(ge=0)]
"""A number that is no integer, in thousandths."""


class PaceStatus(Model):
    """What was seen of stable window by window: its share, and how much its events come in clumps."""

    squares: Thousandths = 0
    """Weighted sum of chi-squares of neighbouring windows."""
    weight: Thousandths = 0
    """Sum of the weights."""
    events: Thousandths = 0
    """Errors, or slow requests."""
    total: Thousandths = 0
    """All requests."""
    windows: Annotated[int, Field(ge=0)] = 0
    """Windows with requests."""
    last_events: Thousandths = 0
    """Errors, or slow requests, of the last window."""
    last_total: Thousandths = 0
    """All requests of the last window."""
    fresh_events: Thousandths = 0
    """Errors, or slow requests, of late: each window counts for less than the one after it."""
    fresh_total: Thousandths = 0
    """All requests of late."""
    outliers: Annotated[list[Thousandths], Field(max_length=4)] = []
    """The two pairs of windows that say most, left out of `squares` and `weight`: chi-square and weight of each."""


class EvidenceStatus(Model):
    """What the counts say so far, look by look; it cannot be had from their sums."""

    since: Time
    """When it began."""
    alone: bool = False
    """`step` and `trial` speak of the ceiling, since stable answered nothing beside the candidate."""
    worse: Nats = []
    """That the candidate is worse than stable by more than the margin."""
    above: Nats = []
    """That the candidate's own share is above the ceiling."""
    step: Nats = []
    """That what this weight can do stays within what the check allows."""
    trial: Nats = []
    """That the candidate itself stays within what the check allows, on all requests of the trial."""


class DriftStatus(Model):
    """Predictions of both arms by bin; the bins are frozen at the trial's start from stable's hour before."""

    marks: Annotated[list[Annotated[str, StringConstraints(max_length=128)]], Field(max_length=MOST_BINS - 1)] = []
    """Upper edges of the bins as the metric spells them, the last bin has none; or the classes, the last bin is any other."""
    blind: Sentence = ""
    """What these bins cannot show, and what to do; empty where they show enough."""
    inflation: Annotated[int, Field(ge=0, le=10**9)] = 1000
    """Variance of counts, as thousandths of that of independent predictions."""
    candidate: BinCounts = []
    """The candidate's predictions by bin since the present weight was confirmed."""
    stable: BinCounts = []
    """Stable's in the same time."""
    looks: Annotated[int, Field(ge=0, le=10**9)] = 0
    """Verdicts taken in this trial: each spends less of the promise than the one before."""
    next: Annotated[int, Field(ge=0, le=10**15)] = 0
    """Effective sample size from which on the next one is taken."""
    outcome: Outcome = Outcome.INCONCLUSIVE
    """The latest of them; it stands until the next one."""


class Amounts(Model):
    """What a mean is made of."""

    sum: Amount = Decimal(0)
    """What was summed up: money, seconds, tokens."""
    count: Amount = Decimal(0)
    """What it is divided by: orders, requests."""


class MeanArms(Model):
    """The same on both sides over the same time."""

    stable: Amounts = Amounts()
    """The accepted revision."""
    candidate: Amounts = Amounts()
    """The revision on trial."""


Millionths = Annotated[int, Field(ge=-(10**18), le=10**18)]
"""A number that is no integer, in millionths."""


class SpreadStatus(Model):
    """How widely the values are spread, from blocks of requests beside their neighbours; in stable's means."""

    squares: Annotated[Millionths, Field(ge=0)] = 0
    """Sum of squared differences of neighbouring blocks, by the noise expected of each."""
    pairs: Annotated[Millionths, Field(ge=0)] = 0
    """How many of them."""
    last: Millionths = 0
    """The value of the last block."""
    last_size: Amount = Decimal(0)
    """How many requests it was made of, one arm beside the other; 0 where the next block has no neighbour."""
    fresh_sum: Amount = Decimal(0)
    """What stable summed up of late: each block counts for less than the one after it."""
    fresh_count: Amount = Decimal(0)
    """What that is divided by."""


class MeanStatus(Model):
    """What a check on a mean has counted. Requests are added up to blocks, and a block is one observation."""

    since: Time | None = None
    """When its evidence began."""
    step: MeanArms = MeanArms()
    """Since the present weight was confirmed."""
    trial: MeanArms = MeanArms()
    """Of the whole trial."""
    block: MeanArms = MeanArms()
    """Of the present block."""
    block_since: Time | None = None
    """When the present block began."""
    blocks: Annotated[int, Field(ge=0)] = 0
    """Blocks that were weighed."""
    spread: SpreadStatus | None = None
    """How widely the values are spread, from the hour before the trial on."""
    per_hour: Amount = Decimal(0)
    """How much stable counted in that hour of what the sum is divided by."""
    moments: Annotated[list[Millionths], Field(max_length=7)] = []
    """Sums over the blocks, in standard deviations, from which the interval of the verdict is found."""


MOST_NEEDED = 10**12
"""A larger number of requests is as good as none."""


class CheckStatus(Model):
    """A check's evidence and its latest verdict."""

    name: Short
    """The check's name."""
    outcome: Outcome = Outcome.INCONCLUSIVE
    """The latest verdict."""
    message: Sentence = ""
    """The verdict as a sentence with its numbers."""
    at: Time | None = None
    """The instant of the latest verdict."""
    through: Time | None = None
    """Requests are counted up to this instant; the next look begins here."""
    definition: Annotated[str, StringConstraints(max_length=16)] = ""
    """Hash of the check as it was when its evidence began; another one begins anew."""
    source: MetricSource | None = None
    """Whose numbers a preset reads."""
    preset: Short | None = None
    """The metric preset whose series were found when the evidence began, as in `seatrial presets`."""
    unverified: bool | None = None
    """The preset's names are known from source code or documentation only; no page of that server was recorded."""
    unit: Short | None = None
    """The unit of `slowerThan`: s, ms or us."""
    slower_than: Short | None = None
    """Latency: the bucket edge in use, in the metric's own unit and spelling; frozen for the trial."""
    query: Annotated[str, StringConstraints(max_length=8192)] | None = None
    """The query that was sent, for a query check."""
    value: Number | None = None
    """The value of a query check, or the distance that a drift check has measured."""
    step: Arms | None = None
    """Counts since the present weight was confirmed."""
    trial: Arms | None = None
    """Counts of the whole trial."""
    recent: Arms | None = None
    """Counts of the present five-minute block."""
    previous: Arms | None = None
    """Counts of the five-minute block before."""
    block_since: Time | None = None
    """When the present block began."""
    pace: PaceStatus | None = None
    """Stable's windows, from the hour before the trial on."""
    past: Tally | None = None
    """For times of answers: what stable counted in the hour before the trial."""
    burdened: bool | None = None
    """For times of answers: a pod of the candidate answers clearly more requests than one of stable."""
    evidence: Annotated[list[EvidenceStatus], Field(max_length=2)] = []
    """What the counts say so far, for each direction that counts against the candidate."""
    drift: DriftStatus | None = None
    """Predictions by bin, for a drift check; unset until stable has made enough to choose the bins from."""
    mean: MeanStatus | None = None
    """What was counted, for a check on a mean."""
    needs: Annotated[int, Field(ge=0, le=MOST_NEEDED)] | None = None
    """How many more requests on the candidate (predictions; of a mean, of `per`) make an undecided check pass, if shares stay as
    they are; unset where no number does or none is known."""
    forecast: Sentence = ""
    """Why this plan will be slow to decide at stable's rate, or cannot; empty where it will not."""


class Overlay(Model):
    """Why the trial waits."""

    kind: OverlayKind
    """What kind of waiting this is."""
    message: Sentence
    """What it waits for, and the next step for a person."""
    since: Time
    """Since when."""
    deadline: Time | None = None
    """When it ends by itself; unset means for ever."""
    then: Short = ""
    """What follows at the deadline."""


class PreflightOutcome(StrEnum):
    """How the recorded requests were answered."""

    PASSED = "Passed"
    FAILED = "Failed"


class PreflightStatus(Model):
    """The recorded requests and their answers."""

    outcome: PreflightOutcome
    """Whether all answers were as expected."""
    message: Sentence
    """How many requests on how many pods, or the first difference."""
    at: Time
    """When."""


class BackReason(StrEnum):
    """Why a candidate goes back."""

    CHECK_FAILED = "CheckFailed"
    PODS_FAILED = "PodsFailed"
    PREFLIGHT_FAILED = "PreflightFailed"
    PROGRESS_DEADLINE = "ProgressDeadlineExceeded"
    NO_CAPACITY = "NoCapacity"
    """Quota, or no node with room, until the capacity deadline. It says nothing about the model."""
    IMAGE_UNAVAILABLE = "ImageUnavailable"
    IMAGE_MOVED = "ImageMoved"
    ABORTED = "Aborted"
    UNDECIDED = "Undecided"
    SUPERSEDED = "Superseded"
    """Another revision is wanted, or stable again, or the model was parked."""


class Back(Model):
    """The decision to go back; it is never taken back."""

    reason: BackReason
    """Why, as one word."""
    message: Sentence
    """Why, as a sentence with the numbers."""
    at: Time
    """When it was decided."""
    minimum_at: Time | None = None
    """When the candidate was confirmed at one part of a million or less."""


class SkippedChecks(Model):
    """Somebody had a candidate accepted unjudged."""

    by: Short
    """Who."""
    reason: Sentence
    """Why."""
    at: Time
    """When."""


class AcceptedCheck(Model):
    """A difference that somebody said is intended, for the revision on trial."""

    check: Short
    """The check's name."""
    definition: Annotated[str, StringConstraints(max_length=16)] = ""
    """Hash of the check as it was; another one is judged again."""
    by: Short
    """Who."""
    reason: Sentence
    """Why."""
    at: Time
    """When."""


class DrillRun(Model):
    """What makes a trial a drill: a copy of the stable revision that is failed on purpose."""

    by: Short
    """Who asked, or `schedule`."""
    reason: Sentence = ""
    """Why."""
    met_at: Time | None = None
    """When the copy was let in to live traffic."""
    released_at: Time | None = None
    """When its requests had been counted at the minimum, and it went on to nothing."""


class Rollout(Model):
    """The trial under way."""

    revision: RevisionName
    """The candidate."""
    started: Time
    """When the trial began."""
    step: Annotated[int, Field(ge=-1, le=64)] = 0
    """Index of the present step over all stages, from 0; -1 holds a weight below an edited first step."""
    steps: Annotated[str, StringConstraints(max_length=256)] = ""
    """The steps this trial runs by, such as `shadow 20,5,25,50`; a difference to the spec is an edit."""
    exposed: bool = False
    """Whether the candidate has entered its first step."""
    confirmed_at: Time | None = None
    """When the present step's weight was confirmed; unset while it is being reached."""
    stopped_for: Duration = timedelta(0)
    """How long this step's clock has stood still so far."""
    stopped_since: Time | None = None
    """Since when this step's clock stands still."""
    looked_at: Time | None = None
    """Counters are folded in up to this instant."""
    scrape_interval: Duration | None = None
    """Time between two scrapes, as the samples of the latest look showed it."""
    unready_since: Time | None = None
    """Since when the candidate has fewer ready pods than it needs."""
    unready_excused: Duration = timedelta(0)
    """How much of that time was a missing capacity or an image being pulled."""
    excused_since: Time | None = None
    """Since when the present excuse holds."""
    approved: Annotated[list[Short], Field(max_length=64)] = []
    """Gates a person has passed: `STEP/ToEnter`, `STEP/ToLeave`."""
    promote: bool = False
    """A person asked to skip the remaining exposure."""
    promoting: bool = False
    """Accepted: all traffic moves to the candidate."""
    skipped_checks: SkippedChecks | None = None
    """Set when the candidate is accepted unjudged."""
    accepted: Annotated[list[AcceptedCheck], Field(max_length=16)] = []
    """Checks that are judged no more in this trial."""
    preflight: PreflightStatus | None = None
    """The recorded requests."""
    back: Back | None = None
    """The decision to go back."""
    digests: Annotated[list[Annotated[str, StringConstraints(max_length=512)]], Field(max_length=16)] = []
    """Image digests the candidate's pods run."""
    overlay: Overlay | None = None
    """Why the trial waits."""
    drill: DrillRun | None = None
    """Set for a drill, which never becomes stable."""


class Trialled(StrEnum):
    """How a trial ended."""

    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    SUPERSEDED = "Superseded"
    FAILED = "Failed"


class HistoryEntry(Model):
    """A trial that ended."""

    revision: RevisionName
    """Which revision was tried."""
    model_version: Short | None = None
    """Its `model.version`."""
    training_data: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """Its `model.trainingData`."""
    outcome: Trialled
    """How it ended."""
    reason: Short
    """Why, as one word."""
    message: Sentence
    """Why, as a sentence."""
    started: Time
    """When the trial began."""
    ended: Time
    """When it ended."""
    probation: Short | None = None
    """How its probation ended: `Pass`, `Undecided`, `CutShort`, or `Fail`."""
    skipped_checks: SkippedChecks | None = None
    """Set when the candidate was to be accepted unjudged."""
    accepted: Annotated[list[AcceptedCheck], Field(max_length=16)] = []
    """Differences that somebody said are intended."""


class Rejected(Model):
    """The revision that is wanted and will not be tried again by itself."""

    revision: RevisionName
    """Which revision."""
    reason: Short
    """Why, as one word."""
    message: Sentence
    """Why, as a sentence."""
    at: Time
    """When."""


class Paused(Model):
    """A person, or a check with `onFail: Pause`, stopped the trial."""

    by: Short
    """Who."""
    reason: Sentence = ""
    """Why."""
    since: Time
    """When."""


class ProbationStatus(Model):
    """The time after a promotion in which going back needs no trial."""

    previous: RevisionName
    """The revision that served before."""
    until: Time
    """When it ends by itself."""
    watch: Rollout
    """The trial as it goes on: the accepted revision is judged as before, beside the one it replaced."""


class DrillResult(StrEnum):
    """How a drill ended. Only what was measured counts as passed."""

    PASSED = "Passed"
    FAILED = "Failed"
    """Going back took too long, requests were lost, or the copy never served."""
    UNDECIDED = "Undecided"
    """Something could not be measured."""
    ABORTED = "Aborted"
    """Somebody ended it, or another revision was wanted."""


class DrillReport(Model):
    """A drill that ended."""

    revision: RevisionName
    """The stable revision whose copy was sent back."""
    by: Short
    """Who asked, or `schedule`."""
    reason: Sentence = ""
    """Why."""
    started: Time
    """When it began."""
    ended: Time
    """When it ended."""
    result: DrillResult
    """How it ended."""
    message: Sentence
    """The result as a sentence with its numbers."""
    minimum_after: Duration | None = None
    """From the decision to go back until the copy was confirmed at one part of a million or less."""
    zero_after: Duration | None = None
    """The same until it was confirmed to get nothing, without the time at the minimum in which it was counted."""
    requests: Annotated[int, Field(ge=0)] | None = None
    """Requests that the copy answered; unset where they could not be counted."""
    lost: Annotated[int, Field(ge=0)] | None = None
    """Errors among them beyond stable's own share; unset where they could not be counted."""


class DrillRequest(Model):
    """Somebody asked for a drill that has not begun."""

    by: Short
    """Who."""
    reason: Sentence = ""
    """Why."""


class DrillStatus(Model):
    """Drills: the next one, and how the last one ended."""

    next: Time | None = None
    """When the schedule calls for the next one."""
    asked: DrillRequest | None = None
    """A drill that waits for its turn."""
    last: DrillReport | None = None
    """The last one."""
    passed_at: Time | None = None
    """When one last passed."""


class RevisionStatus(Model):
    """A revision that has pods."""

    name: RevisionName
    """The revision."""
    role: Short
    """`stable`, `candidate`, `previous` or `leaving`."""
    replicas: Annotated[int, Field(ge=0)] = 0
    """Pods asked for."""
    ready: Annotated[int, Field(ge=0)] = 0
    """Pods ready."""
    model_version: Short | None = None
    """Its `model.version`."""


class Written(Model):
    """A managed object after our last write, to tell a hand edit from our own work."""

    ref: Annotated[str, StringConstraints(max_length=320)]
    """`Kind/name`."""
    intent: Annotated[str, StringConstraints(max_length=16)]
    """Hash of what we asked for."""
    live: Annotated[str, StringConstraints(max_length=16)]
    """Hash of what the API server made of it."""


class ReleaseRate(Model):
    """What a revision showed in its trial, of one check."""

    check: Short
    """The check's name."""
    asked: Annotated[str, StringConstraints(max_length=16)]
    """Hash of what was counted: rates are comparable where it is the same."""
    events: Annotated[int, Field(ge=0)]
    """Errors, slow requests, or events of a share."""
    total: Annotated[int, Field(ge=0)]
    """All requests."""
    inflation: Annotated[int, Field(ge=1000)] = 1000
    """How much events came in clumps: their variance as a multiple of that of independent ones, in thousandths."""


class Release(Model):
    """A revision that was accepted, and what it showed in its trial."""

    revision: RevisionName
    """Which revision."""
    at: Time
    """When it was accepted."""
    rates: Annotated[list[ReleaseRate], Field(max_length=16)] = []
    """Of each check that is a share of requests."""


class Sliding(Model):
    """A check whose share got worse over several releases, each within the margin."""

    check: Short
    """The check's name."""
    message: Sentence
    """Over how many releases, both rates, and the margin."""


class QualityStatus(Model):
    """Rates over releases, and whether they slide."""

    releases: Annotated[list[Release], Field(max_length=11)] = []
    """The revision that serves and the ten accepted before it, the latest first."""
    pinned: Release | None = None
    """The release that `analysis.reference` names."""
    sliding: Annotated[list[Sliding], Field(max_length=16)] = []
    """Checks that are worse than in the reference by more than twice the margin. It blocks nothing."""
    note: Sentence = ""
    """Why the named reference is not used."""
    of: RevisionName | None = None
    """The revision that this was said of."""
    judged: Annotated[str, StringConstraints(max_length=16)] = ""
    """Hash of what it was judged by; it is judged anew when that is another."""


class LiveState(StrEnum):
    """What is known of live predictions beside their training snapshot."""

    UNDECIDED = "Undecided"
    """Neither surely nearer than the limit nor surely further, so far."""
    WITHIN = "Within"
    """Surely nearer than the limit. It stands until it is surely otherwise, or until nothing can be said."""
    DRIFTED = "Drifted"
    """Surely further. It stands until they are surely nearer."""
    TOO_FEW = "TooFew"
    """Too few predictions in the window."""
    OTHER_MODEL = "OtherModel"
    """The snapshot is of another model than the one that serves."""
    NO_SNAPSHOT = "NoSnapshot"
    """There is no such ConfigMap."""
    BAD_SNAPSHOT = "BadSnapshot"
    """The ConfigMap is no snapshot, was changed, or is too large."""
    OTHER_BINS = "OtherBins"
    """The metric has other buckets, or is another metric than the snapshot's."""
    NO_METRIC = "NoMetric"
    """Prometheus holds no such predictions of the revision that serves."""
    NO_ANSWER = "NoAnswer"
    """Prometheus or the API server did not answer."""


class LiveAlert(Model):
    """Live predictions have drifted from their training snapshot."""

    since: Time
    """When that became sure."""
    message: Sentence
    """The distance, what moved most, and what to do."""


class LiveStatus(Model):
    """Live predictions and their training snapshot. Only what has become another state is written, not each look."""

    name: Short
    """Its name in `analysis.live`."""
    snapshot: Short
    """The ConfigMap."""
    definition: Annotated[str, StringConstraints(max_length=16)]
    """Hash of what is held against what, the revision that serves included; another one begins anew."""
    state: LiveState = LiveState.UNDECIDED
    """What is known."""
    message: Sentence = ""
    """The same as a sentence, with its numbers as they were when it became so."""
    at: Time
    """When it became so."""
    alert: LiveAlert | None = None
    """Set from when they have surely drifted until they are surely nearer again, whatever else is said meanwhile."""


class HouseRules(Model):
    """What one policy says of this resource, as it was followed last. It goes on holding where the policy is deleted, or
    cannot be read."""

    policy: Annotated[str, StringConstraints(max_length=320)]
    """`TrialPolicy/NAME` or `ClusterTrialPolicy/NAME`."""
    rules: Annotated[str, StringConstraints(max_length=65536)]
    """The part of its spec that concerns this resource, as JSON."""


class Status(Model):
    """What runs, what was decided, and why."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The generation of the spec this status speaks of."""
    phase: Phase = Phase.PENDING
    """Where the resource is."""
    message: Sentence = ""
    """The latest decision as a sentence."""
    weight: Annotated[str, StringConstraints(max_length=16)] = ""
    """Percent of live traffic confirmed at the candidate."""
    step: Annotated[str, StringConstraints(max_length=16)] = ""
    """`2/3` while a trial runs."""
    url: Annotated[str, StringConstraints(max_length=512)] = ""
    """Where clients reach the model."""
    stable: RevisionName | None = None
    """The revision last accepted."""
    candidate: RevisionName | None = None
    """The revision on trial."""
    conditions: Annotated[
        list[Condition],
        Field(
            max_length=8,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = []
    """kstatus conditions."""
    traffic: TrafficStatus = TrafficStatus()
    """The route."""
    rollout: Rollout | None = None
    """The trial under way."""
    queued_since: Time | None = None
    """Since when a new trial waits for its turn, where the installation limits how many run at the same time."""
    probation: ProbationStatus | None = None
    """The time after a promotion, while it lasts."""
    kept: Sentence = ""
    """What is held for going back, and what going back would take."""
    drill: DrillStatus | None = None
    """Drills of going back: the next one, and how the last one ended."""
    checks: Annotated[list[CheckStatus], Field(max_length=20)] = []
    """Evidence and verdicts of the trial under way, or of the last one."""
    house: Annotated[list[HouseRules], Field(max_length=8)] = []
    """House rules in force: `seatrial get NAME --effective` shows the spec that follows from them."""
    quality: QualityStatus | None = None
    """Rates of the last releases, and whether they slide."""
    live: Annotated[list[LiveStatus], Field(max_length=4)] = []
    """What the serving revision predicts, beside its training snapshots."""
    paused: Paused | None = None
    """Set while paused."""
    rejected: Rejected | None = None
    """The wanted revision, once it was sent back."""
    revisions: Annotated[list[RevisionStatus], Field(max_length=16)] = []
    """Revisions that have pods."""
    history: Annotated[list[HistoryEntry], Field(max_length=10)] = []
    """Trials that ended, the latest first."""
    commands: Annotated[list[Short], Field(max_length=32)] = []
    """Nonces of the commands already carried out or refused, the latest first."""
    selector: Annotated[str, StringConstraints(max_length=512)] = ""
    """Label selector of the pods that get live traffic, for autoscalers."""
    replicas: Annotated[int, Field(ge=0)] = 0
    """Pods that get live traffic, for autoscalers."""
    written: Annotated[list[Written], Field(max_length=32)] = []
    """Managed objects after our last write."""
