"""What all tests share."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The fast layers first: what a unit test can tell, nobody should wait for a cluster to hear."""

    def layer(item: pytest.Item) -> int:
        if item.get_closest_marker("cluster"):
            return 2
        return 1 if item.get_closest_marker("contract") else 0

    items.sort(key=layer)
