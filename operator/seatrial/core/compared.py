"""What a comparer counts: the names that it exports and that the agreement check reads."""

from __future__ import annotations

from enum import StrEnum

ANSWERS = "seatrial_compare_answers_total"
"""Answers held against stable's; labels `pair`, `output` and `result`."""
DROPPED = "seatrial_compare_dropped_total"
"""Copies of live requests that were not compared; label `reason`."""
QUEUE = "seatrial_compare_queue_length"
"""Requests that wait. Without labels, so that every scrape has it."""

CANDIDATE, ITSELF = "candidate", "stable-itself"
"""The pairs: the candidate beside stable, and stable beside itself."""
ALL = "*"
"""The output that stands for the whole answer: it agrees where every compared output does."""


class Result(StrEnum):
    """How one output of an answer stands beside the reference."""

    AGREE = "agree"
    DIFFER = "differ"
    UNANSWERED = "unanswered"
    """No answer came: an error status, a time-out, a broken connection."""
