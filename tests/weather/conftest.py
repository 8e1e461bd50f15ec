"""The API servers of tests/cluster_io, here too."""

from __future__ import annotations

from tests.cluster_io.conftest import client, fake, plane, real

__all__ = ["client", "fake", "plane", "real"]
