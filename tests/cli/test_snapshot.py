"""`seatrial snapshot`: what is counted, what is written, and what people are told when it cannot be."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet

from seatrial.cli import snapshotting
from seatrial.cli.errors import CLUSTER, OK, USAGE
from seatrial.cli.main import main
from seatrial.core import snapshot
from seatrial.core.questions import CounterQuestion, Counters
from seatrial.core.snapshot import Snapshot, SnapshotError
from seatrial_scores import EDGES
from tests.metrics.conftest import http_server, started
from tests.sim.world import Behaviour, World, base_spec, settled

SCORES = ["0.0001", "0.05", "0.1", "0.3", "0.5", "0.7", "0.95", "0.999", "1"]
HISTOGRAM = ("--histogram", "model_score")
CLASSES = ("--classes", "model_decisions_total", "--by", "decision")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scores(*, times: int = 60, lines: Sequence[str] = ()) -> None:
    rows = [f"{number},{score}" for number, score in enumerate(SCORES * times)]
    Path("scores.csv").write_text("\n".join(["id,score", *rows, *lines, ""]))


def made(*more: str, file: str = "scores.csv", column: str = "score", what: Sequence[str] = HISTOGRAM) -> int:
    return main(["snapshot", "fraud", "--file", file, "--column", column, *what, *more])


def read(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], Snapshot]:
    manifest = yaml.safe_load(capsys.readouterr().out)
    return manifest, snapshot.load(manifest["metadata"]["name"], manifest["data"])


def refused(capsys: pytest.CaptureFixture[str], code: int, wanted: int = USAGE) -> str:
    assert code == wanted
    return capsys.readouterr().err.strip()


# --- from a table -----------------------------------------------------------------------------------------------------


def test_the_edges_are_those_of_the_client() -> None:
    assert snapshotting.SCORES == EDGES


def test_a_column_becomes_an_immutable_config_map(capsys: pytest.CaptureFixture[str]) -> None:
    scores()
    assert made("-n", "payments", "--model-version", "2026-11-20") == OK
    said = capsys.readouterr()
    manifest = yaml.safe_load(said.out)
    name = manifest["metadata"]["name"]
    assert manifest["immutable"] is True
    assert manifest["metadata"]["namespace"] == "payments"
    assert name.startswith("fraud-model-score-")
    kept = snapshot.load(name, manifest["data"])
    assert (kept.metric, kept.total, kept.model_version) == ("model_score", 540, "2026-11-20")
    assert kept.source == "scores.csv, column score"
    upper = dict(zip(kept.edges, kept.counts, strict=False))
    assert [float(edge) for edge in kept.edges] == list(EDGES)
    assert (upper["0.1"], upper["0.3"], upper["1"], kept.counts[-1]) == (60, 60, 60, 0), "a bucket holds its upper edge"
    assert said.err.splitlines()[0] == (
        f"Counted 540 predictions in 37 buckets (scores.csv, column score): ConfigMap {name}, "
        f"{sum(len(k) + len(v.encode()) for k, v in manifest['data'].items()):,} bytes."
    )
    assert f"{{name: scores, drift: {{histogram: model_score}}, snapshot: {{name: {name}}}}}" in said.err


def test_the_same_table_makes_the_same_name_and_another_one_another(capsys: pytest.CaptureFixture[str]) -> None:
    names = []
    for times in (60, 60, 61):
        scores(times=times)
        assert made() == OK
        names.append(read(capsys)[0]["metadata"]["name"])
    assert names[0] == names[1] != names[2]


def test_it_is_written_to_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    scores()
    assert made("-o", "out.yaml", "--name", "mine") == OK
    assert capsys.readouterr().out == ""
    text = Path("out.yaml").read_text()
    assert "  snapshot.json: |\n" in text, "a block that a person can read"
    assert yaml.safe_load(text)["metadata"]["name"].startswith("mine-")


def test_edges_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    scores()
    assert made("--edges", "0.1,0.5,0.95") == OK
    kept = read(capsys)[1]
    assert (kept.edges, kept.counts) == (("0.1", "0.5", "0.95"), (180, 120, 120, 120))


def test_classes(capsys: pytest.CaptureFixture[str]) -> None:
    Path("d.csv").write_text("decision\n" + "allow\n" * 300 + "block\n" * 40 + "review\n")
    assert made(file="d.csv", column="decision", what=CLASSES) == OK
    kept = read(capsys)[1]
    assert (kept.by, kept.classes, kept.counts) == ("decision", ("allow", "block", "review"), (300, 40, 1))
    assert kept.bins().marks == ("allow", "block")
    assert kept.binned(("allow", "block")) == [300, 40, 1]


def test_parquet_is_read_like_csv(capsys: pytest.CaptureFixture[str]) -> None:
    scores()
    parquet.write_table(pa.table({"id": range(540), "score": [float(s) for s in SCORES * 60]}), "scores.parquet")
    assert made("--name", "same") == OK
    text = read(capsys)[1]
    assert made(file="scores.parquet") == OK
    assert read(capsys)[1].counts == text.counts


def test_parquet_without_a_value_is_told_with_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    parquet.write_table(pa.table({"score": [0.5, None]}), "scores.parquet")
    assert "scores.parquet row 2: None is no prediction" in refused(capsys, made(file="scores.parquet"))
    assert "scores.parquet has no column 'x': give --column one of score" in refused(
        capsys, made(file="scores.parquet", column="x")
    )


def test_what_is_called_parquet_and_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    Path("scores.parquet").write_text("score\n0.5\n")
    assert "scores.parquet is not Parquet" in refused(capsys, made(file="scores.parquet"))


def test_without_pyarrow_the_extra_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = refused(capsys, made(file="scores.parquet"))
    assert (
        "pyarrow, which reads it, is not installed: pip install 'seatrial[parquet]', or save the column as CSV" in said
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("999,", "scores.csv line 542: '' is no prediction: leave such rows out"),
        ("999,high", "scores.csv line 542: 'high' is no prediction"),
        ("999,nan", "scores.csv line 542: 'nan' is no prediction"),
        ("999", "scores.csv line 542 has 1 cells and the header has 2"),
        ("999,85", "scores.csv line 542: 85 is no score from 0 to 1, which the edges of seatrial-scores are for"),
    ],
)
def test_a_line_that_cannot_be_counted_is_named(capsys: pytest.CaptureFixture[str], line: str, said: str) -> None:
    scores(lines=[line])
    assert said in refused(capsys, made())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--file", "scores.csv", "--column", "score"], "which predictions? give --histogram METRIC, or --classes"),
        ([*HISTOGRAM], "where from? give --file FILE and --column COLUMN, or --from-prometheus URL"),
        ([*HISTOGRAM, "--file", "scores.csv"], "--column: which column of scores.csv holds the predictions?"),
        (["--classes", "x_total", "--file", "a", "--column", "b"], "--classes METRIC and --by LABEL"),
        ([*CLASSES, "--file", "a", "--column", "b", "--edges", "1"], "classes have no edges"),
        ([*HISTOGRAM, "--file", "a", "--column", "b", "--edges", "1", "--edges-from", "u"], "exclude each other"),
        ([*HISTOGRAM, "--from-prometheus", "u", "--edges-from", "v"], "--edges-from belongs to --file"),
        ([*HISTOGRAM, "--from-prometheus", "u", "--window", "5m"], "--window: it is 10m to 168h"),
        ([*HISTOGRAM, "--file", "a", "--column", "b", "--revision", "r"], "belong to --from-prometheus"),
        ([*HISTOGRAM, "--file", "none.csv", "--column", "b"], "none.csv cannot be read: No such file"),
        ([*HISTOGRAM, "--file", "scores.csv", "--column", "b"], "has no column 'b': give --column one of id, score"),
        (
            [*HISTOGRAM, "--file", "scores.csv", "--column", "score", "--edges", "a"],
            "give numbers, such as 0.1,0.5,0.9",
        ),
        ([*HISTOGRAM, "--file", "scores.csv", "--column", "score", "--edges", "2,1"], "they are finite and rise"),
        ([*HISTOGRAM, "--file", "scores.csv", "--column", "score", "--name", "A_b"], "'A_b' is no name"),
        (["--histogram", "a_bucket", "--file", "a", "--column", "b"], "write the histogram's name, a"),
        (["--histogram", "sum(a)", "--file", "a", "--column", "b"], "is no plain selector"),
    ],
)
def test_options_that_do_not_go_together(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    scores()
    assert said in refused(capsys, main(["snapshot", "fraud", *arguments]))


def test_too_few_or_crowded_predictions_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    scores(times=2)
    assert "18 predictions are too few to hold others against: 200 are the least" in refused(capsys, made())
    scores()
    said = refused(capsys, made("--edges", "2,3"))
    assert "100.0% of the snapshot's 540 predictions lie in ≤ 2 (100.0%)" in said


def test_numbers_taken_for_classes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("scores.csv").write_text("score\n" + "\n".join(str(number / 1000) for number in range(1000)))
    said = refused(capsys, made(what=CLASSES))
    assert "scores.csv line 514: there are more than 512 classes up to here; for numbers use --histogram" in said


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshot", "--help"]) == OK
    said = capsys.readouterr().out
    for word in ("spec.analysis.live", "--edges-from", "--from-prometheus", "pip install 'seatrial[parquet]'"):
        assert word in said


# --- what is read back ------------------------------------------------------------------------------------------------

KEPT = Snapshot(metric="model_score", counts=(100, 200, 300), edges=("0.1", "0.5"))


def stored(**content: object) -> tuple[str, dict[str, str]]:
    """A ConfigMap whose hash fits, whatever is in it."""
    import hashlib
    import json

    text = json.dumps({"metric": "m", "counts": [100, 200, 300], "edges": ["0.1", "0.5"], **content})
    name = f"x-{hashlib.sha256(text.encode()).hexdigest()[: snapshot.HASHED]}"
    return name, {"format": snapshot.FORMAT, snapshot.CONTENT: text}


def test_what_was_written_is_what_is_read() -> None:
    manifest = snapshot.build("fraud", None, KEPT)
    assert snapshot.load(manifest["metadata"]["name"], manifest["data"]) == KEPT


def test_a_name_without_its_hash_is_refused() -> None:
    manifest = snapshot.build("fraud", None, KEPT)
    with pytest.raises(SnapshotError, match="ConfigMap fraud was changed or renamed: its content has the hash "):
        snapshot.load("fraud", manifest["data"])


@pytest.mark.parametrize(
    "content",
    [
        {"counts": [1, 2]},
        {"counts": [100, -200, 300]},
        {"counts": [100, True, 300]},
        {"counts": [100, 200, 3.5]},
        {"counts": "abc"},
        {"counts": [1, 2, 3]},
        {"edges": ["0.5", "0.1"]},
        {"edges": ["0.5", "inf"]},
        {"edges": ["a", "b"]},
        {"metric": 7},
        {"by": "class", "classes": ["a", "a", "b"]},
    ],
)
def test_content_that_no_snapshot_has_is_refused_and_breaks_nothing(content: dict[str, object]) -> None:
    name, data = stored(**content)
    with pytest.raises(SnapshotError, match=r"is not what a snapshot holds \("):
        snapshot.load(name, data)


def test_its_size_is_bounded() -> None:
    many = Snapshot(metric="m", by="c", classes=tuple(f"{n:0128}" for n in range(512)), counts=(1000,) * 512)
    with pytest.raises(SnapshotError, match=r"takes 6\d,\d{3} bytes, and 65,536 are the most|takes 7\d,\d{3} bytes"):
        snapshot.build("x", None, many)
    with pytest.raises(SnapshotError, match="513 buckets, and 512 are the most"):
        snapshot.build("x", None, Snapshot(metric="m", edges=tuple(map(str, range(512))), counts=(9,) * 513))


def test_classes_that_are_all_rare_are_no_classes() -> None:
    rare = Snapshot(metric="m", by="c", classes=tuple(map(str, range(200))), counts=(1,) * 200)
    with pytest.raises(SnapshotError, match="none of the 200 classes has 5"):
        snapshot.build("x", None, rare)


# --- from Prometheus --------------------------------------------------------------------------------------------------


@pytest.fixture
def past(monkeypatch: pytest.MonkeyPatch) -> World:
    """A service that has answered for a while; the command line asks its Prometheus."""
    spec = base_spec()
    spec["analysis"]["checks"] = [{"name": "scores", "drift": {"histogram": "model_score"}}]
    world = World(spec=spec, rate=20.0)
    world.behaviours["fraud:v1"] = Behaviour(blocks=0.3)
    assert world.run(90, until=settled)
    for _ in range(240):
        world.step(5.0)

    def ask(_url: str, selector: str, start: datetime, end: datetime) -> Any:
        answers, _ = world.prometheus.answer([CounterQuestion("past", selector, start, end)])
        found = answers["past"]
        assert isinstance(found, Counters)
        return found.series

    monkeypatch.setattr(snapshotting, "_ask", ask)
    monkeypatch.setattr(snapshotting, "_now", lambda: world.now)
    monkeypatch.setattr(snapshotting, "CHUNK", timedelta(minutes=7))
    return world


def test_the_past_of_a_revision(past: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Counted in pieces, and as much as in one."""
    revision = past.status.stable
    asked = ["-n", "models", "--from-prometheus", "http://p:9090", "--revision", str(revision), "--window", "20m"]
    assert main(["snapshot", "fraud", *HISTOGRAM, *asked]) == OK
    manifest, kept = read(capsys)
    assert manifest["metadata"]["namespace"] == "models"
    assert kept.total == pytest.approx(20 * 1200, rel=0.02)
    assert kept.edges[0] == "0.01"
    assert kept.source == f"revision {revision}, 2026-03-02 09:00 to 2026-03-02 09:20 UTC"
    assert main(["snapshot", "fraud", "--classes", "decisions_total", "--by", "decision", *asked]) == OK
    kept = read(capsys)[1]
    assert kept.classes == ("pass", "block")
    assert kept.counts[1] / kept.total == pytest.approx(0.3, abs=0.001)


def test_edges_of_the_metric(past: World, capsys: pytest.CaptureFixture[str]) -> None:
    scores()
    assert made("-n", "models", "--edges-from", "http://p:9090") == OK
    kept = read(capsys)[1]
    assert kept.edges[:3] == ("0.01", "0.02", "0.05")
    said = refused(capsys, made("-n", "other", "--edges-from", "http://p:9090"))
    assert 'has no buckets in the last hour for {__name__=~"model_score|model_score_bucket",namespace="other"' in said


def test_a_revision_without_predictions_is_told_with_what_was_looked_for(
    past: World, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["-n", "models", "--from-prometheus", "http://p:9090", "--revision", "0123456789", "--window", "20m"]
    said = refused(capsys, main(["snapshot", "fraud", *HISTOGRAM, *asked]))
    assert "revision 0123456789 of models/fraud has no predictions in http://p:9090: looked for " in said


def test_a_prometheus_that_is_not_there_ends_with_another_code(capsys: pytest.CaptureFixture[str]) -> None:
    with http_server(lambda _: (503, {}, b"")) as url:
        asked = ["-n", "models", "--from-prometheus", url, "--revision", "0123456789"]
        said = refused(capsys, main(["snapshot", "fraud", *HISTOGRAM, *asked]), CLUSTER)
    assert "answered HTTP 503" in said


@pytest.mark.contract
def test_a_real_prometheus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its buckets, and what was counted between two scrapes."""
    pages = {"count": 0}

    def page(_path: str) -> tuple[int, dict[str, str], bytes]:
        n = pages["count"]
        lines = ["# TYPE model_score histogram"]
        lines += [
            f'model_score_bucket{{le="{edge}"}} {n * share}' for edge, share in (("0.1", 1), ("0.5", 3), ("+Inf", 4))
        ]
        return 200, {"content-type": "text/plain; version=0.0.4"}, "\n".join([*lines, ""]).encode()

    with http_server(page) as exporter:
        labels = {"namespace": "models", "pod": "fraud-0123456789-abc"}
        target = {"targets": [exporter.removeprefix("http://")], "labels": labels}
        with started(tmp_path, [{"job_name": "model", "static_configs": [target]}]) as prometheus:
            prometheus.wait_for("model_score_bucket")
            pages["count"] = 500
            prometheus.wait_for('model_score_bucket{le="+Inf"} == 2000')
            asked = ["-n", "models", "--from-prometheus", prometheus.url, "--revision", "0123456789", "--window", "10m"]
            assert main(["snapshot", "fraud", *HISTOGRAM, *asked]) == OK
            kept = read(capsys)[1]
            assert (kept.edges, kept.counts) == (("0.1", "0.5"), (500, 1000, 500))
            scores()
            assert made("-n", "models", "--edges-from", prometheus.url) == OK
            assert read(capsys)[1].edges == ("0.1", "0.5")
