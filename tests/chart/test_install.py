"""The chart, installed by Helm on a real API server: strictly valid, with rights that end where they should."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dev import tools
from dev.controlplane import control_plane
from dev.errors import DevError

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "seatrial"
ACCOUNT = "system:serviceaccount:seatrial-system:seatrial"

pytestmark = [pytest.mark.contract, pytest.mark.timeout(600)]

Run = Callable[..., str]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Runs `helm …` and `kubectl …` against an API server of this module's own."""
    try:
        binaries = {name: str(tools.path(name)) for name in ("helm", "kubectl")}
    except DevError as error:
        pytest.skip(f"no local API server: {error}")
    with control_plane() as kubeconfig:
        # Helm keeps caches and settings in the home folder; a test leaves nothing there.
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(kubeconfig.parent)}

        def call(name: str, *arguments: str, check: bool = True, stdin: str | None = None) -> str:
            done = subprocess.run(
                [binaries[name], *arguments], check=False, capture_output=True, text=True, env=environment, input=stdin
            )
            if check:
                assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        for namespace in ("payments", "search"):
            call("kubectl", "create", "namespace", namespace)
        yield call


@pytest.fixture(params=["all namespaces", "payments only"])
def installed(run: Run, request: pytest.FixtureRequest) -> Iterator[str]:
    """An installation; says which."""
    values = ["--set", "watch.namespaces={payments}"] if request.param == "payments only" else []
    run("helm", "install", "seatrial", str(CHART), "--namespace", "seatrial-system", "--create-namespace", *values)
    yield request.param
    run("helm", "uninstall", "seatrial", "--namespace", "seatrial-system", "--ignore-not-found")


def may(run: Run, verb: str, resource: str, namespace: str) -> bool:
    answer = run("kubectl", "auth", "can-i", verb, resource, f"--as={ACCOUNT}", "-n", namespace, check=False)
    assert answer in {"yes", "no"}, answer
    return answer == "yes"


def test_the_server_accepts_every_object_to_the_letter(run: Run, tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "prometheus": {"headers": [{"name": "X-Scope-OrgID", "secret": {"name": "prometheus", "key": "tenant"}}]},
        "gateway": "gateways/public",
        "imagePullSecrets": [{"name": "pull"}],
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "watch": {"namespaces": ["search"]},
    }
    (tmp_path / "values.json").write_text(json.dumps(values))
    template = ["template", "seatrial", str(CHART), "--validate", "-n", "search", "-f", str(tmp_path / "values.json")]
    rendered = run("helm", *template)
    # A field that the server does not know is an error here, where kubectl apply would warn at most.
    said = run("kubectl", "create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=rendered)
    assert "deployment.apps/seatrial created (server dry run)" in said


@pytest.mark.parametrize(
    ("version", "keeps"), [("1.30.0", False), ("1.35.9", False), ("1.36.0", True), ("1.37.0-gke.1", True)]
)
def test_without_a_server_the_version_says_which_policies_there_are(run: Run, version: str, keeps: bool) -> None:
    rendered = run("helm", "template", "seatrial", str(CHART), "--kube-version", version)
    assert rendered.count("kind: ValidatingAdmissionPolicy\n") == 3
    assert ("kind: MutatingAdmissionPolicy\n" in rendered) is keeps
    assert ("--authors-kept" in rendered) is keeps


def test_a_server_without_a_policy_gets_none(run: Run) -> None:
    """Kinds are known, and this one is not among them."""
    known = ["--api-versions", "apps/v1/Deployment"]
    served = [*known, "--api-versions", "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"]
    template = ["template", "seatrial", str(CHART), "--kube-version", "1.36.0"]
    assert "AdmissionPolicy" not in run("helm", *template, *known)
    rendered = run("helm", *template, *served)
    assert "kind: ValidatingAdmissionPolicy\n" in rendered
    assert "MutatingAdmissionPolicy\n" not in rendered
    assert "--authors-kept" not in rendered


def test_editors_operate_administrators_approve_and_nobody_else(run: Run, installed: str) -> None:
    """What the cluster's own roles give to a person. Nothing fills them in here, so the chart's are bound."""
    for verb, answer in (("operate", "yes"), ("approve", "no"), ("skip-checks", "no")):
        role = ["--clusterrole=seatrial-system:seatrial:operate", "--user=ann", "-n", "search"]
        run("kubectl", "create", "rolebinding", "ann", *role, check=False)
        asked = ["auth", "can-i", verb, "modeldeployments.seatrial.dev/fraud", "--as=ann", "-n", "search"]
        assert run("kubectl", *asked, check=False) == answer, verb


def test_the_operator_hears_of_freezes_where_it_watches_and_at_home(run: Run, installed: str) -> None:
    """A role that names namespaces allows the watch of each by its name, and no other."""
    for namespace, heard in (("payments", True), ("seatrial-system", True), ("search", installed == "all namespaces")):
        by_name = ["get", "namespaces", f"--field-selector=metadata.name={namespace}", f"--as={ACCOUNT}"]
        assert (run("kubectl", *by_name, "-o=name", check=False) == f"namespace/{namespace}") is heard, namespace


def test_the_operator_may_work_where_it_watches_and_nowhere_else(run: Run, installed: str) -> None:
    everywhere = installed == "all namespaces"
    for verb, resource in (
        ("watch", "modeldeployments.seatrial.dev"),
        ("create", "deployments.apps"),
        ("update", "services"),
        ("create", "controllerrevisions.apps"),
        ("delete", "poddisruptionbudgets.policy"),
        ("create", "events"),
    ):
        assert may(run, verb, resource, "payments"), (verb, resource)
        assert may(run, verb, resource, "search") is everywhere, (verb, resource)
        assert may(run, verb, resource, "kube-system") is everywhere, (verb, resource)


def test_the_operator_may_not_write_models_or_read_secrets(run: Run, installed: str) -> None:
    for verb, resource in (
        ("update", "modeldeployments.seatrial.dev"),
        ("delete", "modeldeployments.seatrial.dev"),
        ("get", "secrets"),
        ("list", "configmaps"),
        ("delete", "pods"),
        ("deletecollection", "deployments.apps"),
        ("create", "roles.rbac.authorization.k8s.io"),
    ):
        assert not may(run, verb, resource, "payments"), (verb, resource)


def test_the_lease_lies_in_the_namespace_of_the_installation(run: Run, installed: str) -> None:
    ours = "leases.coordination.k8s.io/seatrial"
    assert may(run, "update", ours, "seatrial-system")
    assert may(run, "create", "leases.coordination.k8s.io", "seatrial-system")
    assert not may(run, "update", "leases.coordination.k8s.io/another", "seatrial-system")
    assert not may(run, "update", ours, "payments")


def test_uninstalling_keeps_every_model(run: Run, installed: str) -> None:
    run("kubectl", "wait", "--for=condition=Established", "crd/modeldeployments.seatrial.dev", "--timeout=30s")
    run("kubectl", "apply", "-f", str(ROOT / "examples" / "quickstart.yaml"))
    run("helm", "uninstall", "seatrial", "--namespace", "seatrial-system")
    assert run("kubectl", "get", "modeldeployments", "-A", "-o", "name") != ""
    assert run("kubectl", "-n", "seatrial-system", "get", "deployments,serviceaccounts", "-o", "name") == ""


def test_installing_again_takes_the_models_over(run: Run, installed: str) -> None:
    """The CRD that an uninstalled release left is no obstacle to the next."""
    run("helm", "uninstall", "seatrial", "--namespace", "seatrial-system")
    run("helm", "install", "seatrial", str(CHART), "--namespace", "seatrial-system")
    assert "deployment.apps/seatrial" in run("kubectl", "-n", "seatrial-system", "get", "deployments", "-o", "name")
