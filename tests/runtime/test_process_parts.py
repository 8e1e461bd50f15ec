"""Settings, logs, endpoints, metrics."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from seatrial.api.status import Condition, DrillReport, DrillResult, DrillStatus, HistoryEntry, Phase, Status, Trialled
from seatrial.cluster.client import Call
from seatrial.runtime.endpoints import Endpoints
from seatrial.runtime.logs import JsonFormatter, TextFormatter
from seatrial.runtime.main import installation_of
from seatrial.runtime.process import SettingsError
from seatrial.runtime.settings import Settings, add_arguments, from_args
from seatrial.runtime.telemetry import Telemetry

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def settings(*flags: str, **environ: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_arguments(parser, environ)
    return from_args(parser.parse_args(list(flags)), environ)


def test_flags_win_over_variables_and_those_over_defaults() -> None:
    assert settings().workers == 8
    assert settings(SEATRIAL_WORKERS="3").workers == 3
    assert settings("--workers", "5", SEATRIAL_WORKERS="3").workers == 5


def test_everything_can_be_said_in_variables(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("Bearer secret\n")
    found = settings(
        SEATRIAL_PROMETHEUS_URL="http://prometheus:9090/",
        SEATRIAL_PROMETHEUS_HEADER=f"Authorization=@{token}\nX-Scope-OrgID=team=a",
        SEATRIAL_GATEWAY="gateways/public",
        SEATRIAL_NAMESPACE="a, b,a",
        SEATRIAL_DWELL="500ms",
        SEATRIAL_LOG_FORMAT="json",
        SEATRIAL_LEASE_NAMESPACE="ops",
        SEATRIAL_METRICS_PORT="0",
        SEATRIAL_PROBE_PORT="9000",
    )
    assert found.prometheus_url == "http://prometheus:9090"
    assert found.headers() == {"Authorization": "Bearer secret", "X-Scope-OrgID": "team=a"}
    token.write_text("Bearer renewed")
    assert found.headers()["Authorization"] == "Bearer renewed"
    assert found.gateway == ("gateways", "public")
    assert found.namespaces == ("a", "b")
    assert found.dwell == timedelta(milliseconds=500)
    assert (found.log_format, found.lease_namespace, found.metrics_port, found.probe_port) == ("json", "ops", 0, 9000)


def test_who_applies_what_others_wrote() -> None:
    """Left out, the usual ones; nobody where that is what is said."""
    assert settings().gitops_accounts == (
        "system:serviceaccount:argocd:*",
        "system:serviceaccount:flux-system:*",
    )
    assert settings("--gitops-account", "ci:*", "--gitops-account", "bot").gitops_accounts == ("ci:*", "bot")
    assert settings("--gitops-account=").gitops_accounts == ()
    assert settings(SEATRIAL_GITOPS_ACCOUNT="ci:*, bot").gitops_accounts == ("ci:*", "bot")


def test_authors_are_kept_only_where_that_was_said() -> None:
    """Nobody is believed by default."""
    for found in (settings(), settings(SEATRIAL_AUTHORS_KEPT="no")):
        assert not installation_of(found).authors_kept
    for found in (settings("--authors-kept"), settings(SEATRIAL_AUTHORS_KEPT="yes")):
        assert installation_of(found).authors_kept
    assert installation_of(settings("--gitops-account", "bot")).gitops_accounts == ("bot",)


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (["--gateway", "public"], "--gateway"),
        (["--gateway", "a/b/c"], "--gateway"),
        (["--dwell", "soon"], "--dwell"),
        (["--workers", "0"], "--workers"),
        (["--prometheus-header", "Authorization"], "--prometheus-header"),
        (["--prometheus-header", "Authorization=@/nowhere"], "--prometheus-header"),
    ],
)
def test_what_cannot_be_used_is_named(flags: list[str], names: str) -> None:
    with pytest.raises(SettingsError, match=names):
        settings(*flags)


def test_no_two_processes_have_one_identity() -> None:
    assert settings().identity != settings().identity


def a_record(**extra: str) -> logging.LogRecord:
    record = logging.LogRecord("seatrial.x", logging.WARNING, "f.py", 1, "weight %s", ("25 -> 50",), None)
    record.__dict__.update(extra)
    return record


def test_json_logs_name_the_object() -> None:
    line = json.loads(JsonFormatter().format(a_record(namespace="payments", model="fraud")))
    assert line["message"] == "weight 25 -> 50"
    assert (line["namespace"], line["model"], line["level"]) == ("payments", "fraud", "warning")
    assert line["time"].endswith("+00:00")
    assert set(line) == {"time", "level", "logger", "message", "namespace", "model"}


def test_text_logs_name_the_object_and_carry_tracebacks() -> None:
    record = a_record(namespace="payments", model="fraud")
    assert TextFormatter().format(record).endswith("WARNING payments/fraud: weight 25 -> 50")
    try:
        raise RuntimeError("why")
    except RuntimeError:
        record.exc_info = sys.exc_info()
    assert "RuntimeError: why" in TextFormatter().format(record)
    assert "RuntimeError: why" in json.loads(JsonFormatter().format(record))["exception"]


async def test_endpoints_say_what_is_wrong() -> None:
    problems: list[str] = []
    endpoints = Endpoints(alive=lambda: problems, ready=lambda: ["not yet"], metrics=Telemetry().render)
    await endpoints.start("127.0.0.1", 0, 0)
    try:
        base = f"http://127.0.0.1:{endpoints.ports['probes']}"
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{base}/healthz") as answer:
                assert (answer.status, await answer.text()) == (200, "ok\n")
            problems.append("a pass has taken 400 s")
            async with http.get(f"{base}/healthz") as answer:
                assert (answer.status, await answer.text()) == (503, "a pass has taken 400 s\n")
            async with http.get(f"{base}/readyz") as answer:
                assert answer.status == 503
            async with http.get(f"http://127.0.0.1:{endpoints.ports['metrics']}/metrics") as answer:
                assert "seatrial_build_info" in await answer.text()
    finally:
        await endpoints.close()


def value(telemetry: Telemetry, metric: str, /, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(metric, labels)


def test_drills_are_told_and_what_is_not_known_is_left_out() -> None:
    telemetry, key = Telemetry(), ("payments", "fraud")
    labels = {"namespace": "payments", "name": "fraud"}
    last = DrillReport(
        revision="e04d5521aa",
        by="ann",
        started=NOW,
        ended=NOW,
        result=DrillResult.PASSED,
        message="",
        minimum_after=timedelta(seconds=2.5),
        requests=494,
        lost=0,
    )
    passed = Status(drill=DrillStatus(last=last, passed_at=NOW))
    telemetry.stored(key, Status(), passed)
    assert value(telemetry, "seatrial_drill_back_seconds", **labels) == 2.5
    assert value(telemetry, "seatrial_drill_lost_requests", **labels) == 0
    assert value(telemetry, "seatrial_drill_last_success_timestamp_seconds", **labels) == NOW.timestamp()
    unknown = last.model_copy(update={"result": DrillResult.UNDECIDED, "lost": None, "minimum_after": None})
    telemetry.stored(key, passed, Status(drill=DrillStatus(last=unknown, passed_at=NOW)))
    assert value(telemetry, "seatrial_drill_back_seconds", **labels) is None
    assert value(telemetry, "seatrial_drill_lost_requests", **labels) is None
    assert value(telemetry, "seatrial_drill_last_success_timestamp_seconds", **labels) == NOW.timestamp()


def test_series_of_a_resource_follow_it_and_go_with_it() -> None:
    telemetry = Telemetry()
    key = ("payments", "fraud")
    ready = Condition(type="Ready", status="True", reason="Stable", message="", last_transition_time=NOW)
    canary = Status(phase=Phase.CANARY, weight="25", conditions=[ready])
    telemetry.stored(key, Status(), canary)
    labels = {"namespace": "payments", "name": "fraud"}
    assert value(telemetry, "seatrial_candidate_weight_percent", **labels) == 25
    assert value(telemetry, "seatrial_phase", **labels, phase="Canary") == 1
    assert value(telemetry, "seatrial_condition", **labels, type="Ready") == 1
    ended = HistoryEntry(
        revision="e04d5521aa",
        outcome=Trialled.ROLLED_BACK,
        reason="CheckFailed",
        message="",
        started=NOW,
        ended=NOW + timedelta(minutes=20),
    )
    back = Status(phase=Phase.ROLLED_BACK, weight="", history=[ended])
    telemetry.stored(key, canary, back)
    telemetry.stored(key, back, back)
    assert value(telemetry, "seatrial_phase", **labels, phase="Canary") is None
    assert value(telemetry, "seatrial_phase", **labels, phase="RolledBack") == 1
    assert value(telemetry, "seatrial_condition", **labels, type="Ready") is None
    assert value(telemetry, "seatrial_trials_total", outcome="RolledBack", reason="CheckFailed") == 1
    assert value(telemetry, "seatrial_trial_seconds_sum", outcome="RolledBack") == 1200
    assert value(telemetry, "seatrial_resources") == 1
    telemetry.forget(key)
    telemetry.forget(key)
    assert value(telemetry, "seatrial_phase", **labels, phase="RolledBack") is None
    assert value(telemetry, "seatrial_candidate_weight_percent", **labels) is None
    assert value(telemetry, "seatrial_resources") == 0
    assert b'name="fraud"' not in telemetry.render()


def test_calls_passes_and_leadership_are_counted() -> None:
    telemetry = Telemetry()
    telemetry.call(Call("get", "deployments", 404, 0.01))
    telemetry.call(Call("watch", "pods", 200, 200.0))
    telemetry.passed("wrote", 0.2)
    telemetry.decided(["Promoted", "Promoted"])
    telemetry.prometheus("ok", 0.1)
    telemetry.leader(True)
    assert value(telemetry, "seatrial_api_requests_total", verb="get", resource="deployments", code="404") == 1
    assert value(telemetry, "seatrial_api_request_seconds_count", verb="watch") is None
    assert value(telemetry, "seatrial_reconciles_total", result="wrote") == 1
    assert value(telemetry, "seatrial_decisions_total", kind="Promoted") == 2
    assert value(telemetry, "seatrial_prometheus_requests_total", outcome="ok") == 1
    assert value(telemetry, "seatrial_leader") == 1
