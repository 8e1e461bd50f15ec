"""Addresses of sandbox clusters: several at once must not meet."""

from __future__ import annotations

import itertools
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from dev import net
from dev.errors import DevError
from dev.net import CLUSTERS, Slice

ALL = [Slice(index) for index in range(CLUSTERS)]


def test_no_two_ranges_overlap() -> None:
    """Pods, Services and links of all clusters are apart."""
    ranges = [ip_network(text) for part in ALL for text in (part.pods, part.services)]
    ranges += [ip_network(f"{part.host}/30", strict=False) for part in ALL]
    assert not [pair for pair in itertools.combinations(ranges, 2) if pair[0].overlaps(pair[1])]


@pytest.mark.parametrize("part", ALL, ids=lambda part: part.name)
def test_everything_is_in_the_range_for_benchmarks(part: Slice) -> None:
    """No address could be somebody's real network."""
    benchmarks = ip_network("198.18.0.0/15")
    for text in (part.pods, part.services):
        assert ip_network(text).subnet_of(benchmarks)  # type: ignore[arg-type]
    for text in (part.host, part.node):
        assert ip_address(text) in benchmarks
    for text in (part.api_service, part.dns_service):
        assert ip_address(text) in ip_network(part.services)


@pytest.mark.parametrize("index", [-1, CLUSTERS])
def test_an_index_out_of_range_is_refused(index: int) -> None:
    """It would give addresses of another cluster, or none."""
    with pytest.raises(ValueError, match="not in"):
        Slice(index)


def test_names_fit_the_kernel() -> None:
    """A link's name has at most 15 characters."""
    assert all(len(part.name) <= 15 for part in ALL)


def test_the_lowest_free_index_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claimed ones are passed over, and so are namespaces that nobody claims."""
    monkeypatch.setattr(net, "NAMESPACES", tmp_path)
    (tmp_path / "seatrial1").touch()
    monkeypatch.setattr(Slice, "taken", property(lambda self: (tmp_path / self.name).exists()))
    assert net.free_slice(lambda _: False).index == 0
    assert net.free_slice(lambda part: part.index == 0).index == 2


def test_no_free_index_is_said_with_the_next_step() -> None:
    """The message names the command that shows who has them."""
    with pytest.raises(DevError, match="cluster list"):
        net.free_slice(lambda _: True)
