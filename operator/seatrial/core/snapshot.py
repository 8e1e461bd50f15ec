"""Training snapshots: how a model's predictions were distributed when it was trained, to hold the live ones against.

A snapshot is a ConfigMap:

    metadata: {name: fraud-model-score-3f9a1c20b7}
    immutable: true
    data:
      format: snapshot/v1
      snapshot.json: |
        {
        "counts": [12, 40, …],
        "edges": ["0.01", "0.02", …],
        "metric": "model_score",
        "modelVersion": "2026-11-20",
        "source": "scores.csv, column score"
        }

Counts are by bucket, as the metric's own buckets are (the last one has no upper edge), or by class. The name ends with the hash
of `snapshot.json`, so whoever names a snapshot names its content, and one that was changed is noticed: `immutable` forbids an
edit, but not deleting a ConfigMap and making another one of its name.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seatrial.core import bins
from seatrial.core.bins import Frozen

FORMAT = "snapshot/v1"
CONTENT = "snapshot.json"
"""Key of the counts."""
LARGEST = 64 * 1024
"""Bytes of the content at the most."""
MOST_BUCKETS = 512
"""Buckets or classes at the most."""
HASHED = 10
"""Digits of the hash in the name."""
HASH_ANNOTATION = "seatrial.dev/snapshot-sha256"
TOTAL_ANNOTATION = "seatrial.dev/predictions"
MAKE = "make one with `seatrial snapshot`"
_MOST = 10**15


class SnapshotError(ValueError):
    """The snapshot cannot be made or cannot be used; the message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Counts of predictions, of a histogram or by class."""

    metric: str
    """The live metric that counts the same."""
    counts: tuple[int, ...]
    edges: tuple[str, ...] = ()
    """Upper edges of the buckets, ascending, as the metric spells them; the last bucket has none."""
    classes: tuple[str, ...] = ()
    by: str = ""
    """The label of the class; empty for a histogram."""
    model_version: str = ""
    """The `model.version` whose predictions they are; empty where that was not said."""
    source: str = ""
    """Where they come from, in words."""

    @property
    def total(self) -> int:
        """All predictions."""
        return sum(self.counts)

    def bins(self) -> Frozen:
        """The bins to compare by. Raises SnapshotError where the buckets could not show a difference."""
        if self.by:
            chosen = bins.of_classes(dict(zip(self.classes, self.counts, strict=True)))
            if not chosen.marks:
                raise SnapshotError(
                    f"none of the {len(self.classes):,} classes has {bins.SEEN} of the snapshot's {self.total:,} predictions and "
                    f"a name of 1 to {bins.LONGEST_CLASS} characters, so nothing could be compared: are they classes?"
                )
            return chosen
        edges = {float(edge): edge for edge in self.edges}
        found = bins.of_histogram(edges, self.counts, whose="the snapshot's", when="")
        if isinstance(found, str):
            raise SnapshotError(found)
        return found

    def binned(self, marks: Sequence[str]) -> list[int]:
        """Its predictions by these bins."""
        out = [0] * (len(marks) + 1)
        if self.by:
            place = {mark: index for index, mark in enumerate(marks)}
            for name, count in zip(self.classes, self.counts, strict=True):
                out[place.get(name, len(marks))] += count
            return out
        cuts = [float(mark) for mark in marks]
        uppers = [*(float(edge) for edge in self.edges), math.inf]
        for upper, count in zip(uppers, self.counts, strict=True):
            out[sum(1 for cut in cuts if cut < upper)] += count
        return out


# --- making -----------------------------------------------------------------------------------------------------------


def build(name: str, namespace: str | None, snapshot: Snapshot) -> dict[str, Any]:
    """The ConfigMap of a snapshot, `name` followed by its hash. Raises SnapshotError where it could serve nobody."""
    if snapshot.total < bins.LEAST:
        raise SnapshotError(
            f"{snapshot.total:,} predictions are too few to hold others against: {bins.LEAST} are the least, some thousands "
            "are better"
        )
    if len(snapshot.counts) > MOST_BUCKETS:
        what = "classes" if snapshot.by else "buckets"
        raise SnapshotError(f"there are {len(snapshot.counts):,} {what}, and {MOST_BUCKETS} are the most")
    snapshot.bins()
    content = _content(snapshot)
    if len(content.encode()) > LARGEST:
        raise SnapshotError(
            f"the snapshot takes {len(content.encode()):,} bytes, and {LARGEST:,} are the most: use shorter names of classes"
        )
    digest = hashlib.sha256(content.encode()).hexdigest()
    called = f"{name}-{digest[:HASHED]}"
    if len(called) > 253:
        raise SnapshotError(
            f"the name {called} has {len(called)} characters, and 253 are the most: give a shorter --name"
        )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": called,
            **({} if namespace is None else {"namespace": namespace}),
            "annotations": {HASH_ANNOTATION: digest, TOTAL_ANNOTATION: str(snapshot.total)},
        },
        "immutable": True,
        "data": {"format": FORMAT, CONTENT: content},
    }


def _content(snapshot: Snapshot) -> str:
    """The same text for the same snapshot, whenever it is made."""
    said: dict[str, object] = {"metric": snapshot.metric, "counts": list(snapshot.counts)}
    if snapshot.by:
        said |= {"by": snapshot.by, "classes": list(snapshot.classes)}
    else:
        said["edges"] = list(snapshot.edges)
    if snapshot.model_version:
        said["modelVersion"] = snapshot.model_version
    if snapshot.source:
        said["source"] = snapshot.source
    lines = [f"{json.dumps(key)}: {json.dumps(said[key], ensure_ascii=False)}" for key in sorted(said)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


# --- reading ----------------------------------------------------------------------------------------------------------


def load(name: str, data: Mapping[str, object]) -> Snapshot:
    """A snapshot from a ConfigMap's data, which somebody may have written by hand. Raises SnapshotError."""
    kind, content = data.get("format"), data.get(CONTENT)
    if kind != FORMAT or not isinstance(content, str):
        known = "no key 'format'" if kind is None else f"the format {str(kind)[:40]!r}"
        known = known if kind != FORMAT else f"no key {CONTENT!r}"
        raise SnapshotError(f"ConfigMap {name} has {known}, so it is no training snapshot: {MAKE}")
    size = len(content.encode())
    if size > LARGEST:
        raise SnapshotError(
            f"ConfigMap {name} holds {size:,} bytes, and a snapshot has {LARGEST:,} at the most: {MAKE}"
        )
    digest = hashlib.sha256(content.encode()).hexdigest()[:HASHED]
    if not name.endswith(f"-{digest}"):
        raise SnapshotError(
            f"ConfigMap {name} was changed or renamed: its content has the hash {digest}, and a snapshot's name ends with its "
            f"hash: apply the file again that `seatrial snapshot` wrote, or {MAKE}"
        )
    try:
        return _read(json.loads(content))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SnapshotError(f"ConfigMap {name}: {CONTENT} is not what a snapshot holds ({error}): {MAKE}") from None


def _read(said: Any) -> Snapshot:
    if not isinstance(said, dict):
        raise ValueError("it is no object")
    counts, by = tuple(said["counts"]), said.get("by", "")
    edges, classes = tuple(said.get("edges", ())), tuple(said.get("classes", ()))
    if not all(isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= _MOST for count in counts):
        raise ValueError("counts are whole numbers from 0 on")
    texts = (said["metric"], by, said.get("modelVersion", ""), said.get("source", ""), *edges, *classes)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("names and edges are texts")
    if len(counts) > MOST_BUCKETS or len(counts) != (len(classes) if by else len(edges) + 1):
        raise ValueError(f"{len(counts)} counts do not go with {len(classes or edges)} {'classes' if by else 'edges'}")
    cuts = [float(edge) for edge in edges]
    if not all(math.isfinite(cut) for cut in cuts) or not all(a < b for a, b in itertools.pairwise(cuts)):
        raise ValueError("edges are numbers that rise")
    if len(set(classes)) < len(classes):
        raise ValueError("a class is there twice")
    if sum(counts) < bins.LEAST:
        raise ValueError(f"{sum(counts)} predictions are fewer than {bins.LEAST}")
    return Snapshot(
        metric=said["metric"],
        counts=counts,
        edges=edges,
        classes=classes,
        by=by,
        model_version=said.get("modelVersion", ""),
        source=said.get("source", ""),
    )
