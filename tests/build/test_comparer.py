"""The comparer's objects: what they select, what they may do, and that the program understands its arguments."""

from __future__ import annotations

import argparse
import re
from decimal import Decimal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from seatrial.api.agreement import Agreement
from seatrial.api.mode import AgreementMode
from seatrial.api.rules import NAME_MAX
from seatrial.build.comparer import arguments, comparer_deployment, comparer_service
from seatrial.build.names import child_name, comparer_name, selector
from seatrial.compare.settings import Settings, add_arguments, from_args
from seatrial.core.answers import Sameness

STABLE, CANDIDATE = "7c9f1b20de", "e04d5521aa"
IMAGE = "registry.example.com/seatrial:0.1.0"
DEPLOYMENT = comparer_deployment(
    "fraud", "payments", stable=STABLE, candidate=CANDIDATE, agreements=[Agreement()], image=IMAGE
)
SERVICE = comparer_service("fraud", "payments", CANDIDATE)
POD = DEPLOYMENT["spec"]["template"]


def settings(*agreements: Agreement) -> Settings:
    """What the process makes of the arguments that the pod is given."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    command, *flags = arguments("fraud", STABLE, CANDIDATE, agreements)
    assert command == "compare"
    return from_args(parser.parse_args(flags))


def matches(selects: dict[str, str], labels: dict[str, str]) -> bool:
    return selects.items() <= labels.items()


def test_its_service_and_deployment_select_its_pods() -> None:
    labels = POD["metadata"]["labels"]
    assert matches(DEPLOYMENT["spec"]["selector"]["matchLabels"], labels)
    assert matches(SERVICE["spec"]["selector"], labels)
    assert SERVICE["spec"]["ports"][0]["targetPort"] in [
        port["containerPort"] for port in POD["spec"]["containers"][0]["ports"]
    ]


def test_no_revisions_service_sends_it_live_requests() -> None:
    for revision in (STABLE, CANDIDATE):
        assert not matches(selector("fraud", revision), POD["metadata"]["labels"])


def test_it_never_gets_live_requests_of_another_model_or_candidate() -> None:
    for other in (comparer_service("fraud", "payments", STABLE), comparer_service("iris", "payments", CANDIDATE)):
        assert not matches(other["spec"]["selector"], POD["metadata"]["labels"])


def test_it_has_no_privilege_no_account_and_bounds() -> None:
    pod = POD["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "privileged": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    assert "volumes" not in pod


def test_prometheus_finds_it_as_it_finds_models() -> None:
    """At a port that the container declares: the discovery offers a pod once for each of those."""
    annotations = POD["metadata"]["annotations"]
    assert annotations["prometheus.io/scrape"] == "true"
    declared = [port["containerPort"] for port in POD["spec"]["containers"][0]["ports"]]
    assert int(annotations["prometheus.io/port"]) in declared
    assert int(annotations["prometheus.io/port"]) == settings(Agreement()).metrics_port


def test_probes_are_where_the_process_answers_them() -> None:
    (container,) = POD["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == settings(Agreement()).metrics_port


def test_every_value_is_plain_yaml() -> None:
    assert yaml.safe_load(yaml.safe_dump(DEPLOYMENT)) == DEPLOYMENT


@pytest.mark.parametrize(
    ("agreements", "same", "outputs"),
    [
        ([Agreement()], Sameness(), ()),
        ([Agreement(tolerance=Decimal("0.01"))], Sameness(tolerance=0.01), ()),
        ([Agreement(mode=AgreementMode.CLASS, output="predict")], Sameness(AgreementMode.CLASS), ("predict",)),
        ([Agreement(mode=AgreementMode.TOP_K, top_k=3)], Sameness(AgreementMode.TOP_K, top_k=3), ()),
        ([Agreement(output="b"), Agreement(output="a")], Sameness(), ("a", "b")),
        ([Agreement(output="b"), Agreement()], Sameness(), ()),
    ],
)
def test_the_process_understands_how_to_compare(
    agreements: list[Agreement], same: Sameness, outputs: tuple[str, ...]
) -> None:
    read = settings(*agreements)
    assert (read.same, read.outputs) == (same, outputs)
    assert (read.stable, read.candidate) == (f"http://fraud-{STABLE}", f"http://fraud-{CANDIDATE}")


def test_an_output_may_have_any_name() -> None:
    assert settings(Agreement(output="--rate=9 x")).outputs == ("--rate=9 x",)


@given(st.from_regex(rf"[a-z]([-a-z0-9]{{0,{NAME_MAX - 2}}}[a-z0-9])?", fullmatch=True))
def test_its_name_fits_a_service_and_no_query_of_a_revisions_pods_meets_it(model: str) -> None:
    name = comparer_name(model, CANDIDATE)
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name)
    for revision in (STABLE, CANDIDATE):
        assert not f"{name}-5d8f9-x2x4z".startswith(f"{child_name(model, revision)}-")


def test_long_names_stay_apart() -> None:
    one, two = ("a" * (NAME_MAX - 1) + end for end in "bc")
    assert comparer_name(one, CANDIDATE) != comparer_name(two, CANDIDATE)
