"""What all tests share."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

QUICK = os.environ.get("SEATRIAL_TESTS") == "quick"
"""`make check` looks at fewer examples and seeds; `make test` at all of them."""

# A shell starts its background jobs with Ctrl-C ignored, and what they start inherits that: tests of Ctrl-C could not end.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Without a deadline: how long an example takes says more of the machine than of the code.
settings.register_profile("seatrial", deadline=None, max_examples=20 if QUICK else 100)
settings.load_profile("seatrial")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The fast layers first: what a unit test can tell, nobody should wait for a cluster to hear."""

    def layer(item: pytest.Item) -> int:
        if item.get_closest_marker("cluster"):
            return 2
        return 1 if item.get_closest_marker("contract") else 0

    items.sort(key=layer)
