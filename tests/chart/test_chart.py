"""The chart, rendered by Helm's own library: what it installs, what it refuses, and what the operator may do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

from seatrial import __version__
from seatrial.build.revision import revision_input
from seatrial.cluster import kinds, lease, permissions
from seatrial.core.commands import Action

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "seatrial"
NAMESPACE = "seatrial-system"

NAMESPACED: dict[str, Any] = {"watch": {"namespaces": ["payments", "search"]}}
EVERYTHING: dict[str, Any] = {
    **NAMESPACED,
    "prometheus": {
        "url": "http://prometheus.monitoring:9090",
        "headers": [{"name": "X-Scope-OrgID", "secret": {"name": "prometheus", "key": "tenant"}}],
    },
    "gateway": "gateways/public",
    "workers": 4,
    "log": {"format": "text", "level": "debug"},
    "image": {"repository": "registry.example.com/seatrial", "digest": "sha256:" + "a" * 64},
    "imagePullSecrets": [{"name": "pull"}],
    "replicas": 2,
    "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "podAnnotations": {"team": "platform"},
    "podLabels": {"team": "platform"},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "infra", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
    "priorityClassName": "system-cluster-critical",
    "serviceAccount": {"annotations": {"team": "platform"}},
    "authority": {"gitopsAccounts": ["ci:*"]},
    "metrics": {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
}

VALUES = {"as it is": {}, "two namespaces": NAMESPACED, "every value set": EVERYTHING}

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def chart() -> Iterator[helm_python.Chart]:
    loaded = helm_python.Chart.load(CHART)
    yield loaded
    loaded.close()


def render(
    chart: helm_python.Chart, values: Mapping[str, Any] | None = None, namespace: str = NAMESPACE
) -> list[Manifest]:
    """All objects of a release, as Helm would send them."""
    files = chart.render(dict(values or {}), name="seatrial", namespace=namespace, is_install=True)
    texts = [text for path, text in files.items() if path.endswith(".yaml")]
    return [manifest for text in texts for manifest in yaml.safe_load_all(text) if manifest]


def notes(chart: helm_python.Chart, values: Mapping[str, Any] | None = None) -> str:
    files = chart.render(dict(values or {}), name="seatrial", namespace=NAMESPACE)
    return str(next(text for path, text in files.items() if path.endswith("NOTES.txt")))


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def only(manifests: list[Manifest], kind: str) -> Manifest:
    (manifest,) = of_kind(manifests, kind)
    return manifest


def container(chart: helm_python.Chart, values: Mapping[str, Any] | None = None) -> Manifest:
    (found,) = only(render(chart, values), "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)


# ---- It renders -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_lint_finds_nothing(values: dict[str, Any]) -> None:
    report = helm_python.lint(CHART, values, strict=True)
    warnings = [message for message in report["messages"] if message["severity"] > 1]
    assert (warnings, report["errors"]) == ([], [])


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_every_object_is_named_labelled_and_unique(chart: helm_python.Chart, values: dict[str, Any]) -> None:
    manifests = render(chart, values)
    keys = [(m["kind"], m["metadata"].get("namespace"), m["metadata"]["name"]) for m in manifests]
    assert len(keys) == len(set(keys))
    for manifest in manifests:
        if manifest["kind"] != "CustomResourceDefinition":
            assert manifest["metadata"]["labels"]["app.kubernetes.io/instance"] == "seatrial", manifest["metadata"]


def test_the_chart_has_the_version_of_the_operator() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_releases_of_one_name_in_two_namespaces_share_no_object(chart: helm_python.Chart) -> None:
    names = [
        {
            (m["kind"], m["metadata"].get("namespace"), m["metadata"]["name"])
            for m in render(chart, {"crds": {"install": False}}, namespace)
        }
        for namespace in ("one", "two")
    ]
    assert names[0] & names[1] == set()


# ---- The pod ----------------------------------------------------------------------------------------------------------


def test_the_pod_has_no_privilege(chart: helm_python.Chart) -> None:
    pod = only(render(chart), "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "privileged": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert [volume for volume in pod["volumes"] if "hostPath" in volume] == []


def test_only_tmp_can_be_written(chart: helm_python.Chart) -> None:
    mounts = container(chart, EVERYTHING)["volumeMounts"]
    assert [mount["mountPath"] for mount in mounts if not mount.get("readOnly")] == ["/tmp"]


def test_probes_and_metrics_are_where_the_operator_serves_them(chart: helm_python.Chart) -> None:
    operator = container(chart)
    assert {port["name"]: port["containerPort"] for port in operator["ports"]} == {"metrics": 8080, "health": 8081}
    for probe, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert operator[probe]["httpGet"] == {"path": path, "port": "health"}
    annotations = only(render(chart), "Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == "8080"
    assert annotations["prometheus.io/path"] == "/metrics"


def test_an_upgrade_starts_the_next_before_the_last_leaves(chart: helm_python.Chart) -> None:
    """The next one stands by until the Lease is free: there is a gap of a renewal, not of a start."""
    strategy = only(render(chart), "Deployment")["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_settings_become_flags(chart: helm_python.Chart) -> None:
    assert container(chart)["args"] == [
        "run",
        f"--lease-namespace={NAMESPACE}",
        "--log-format=json",
        "--log-level=info",
        "--authors-kept",
        "--gitops-account=system:serviceaccount:argocd:*",
        "--gitops-account=system:serviceaccount:flux-system:*",
    ]
    assert container(chart, EVERYTHING)["args"] == [
        "run",
        f"--lease-namespace={NAMESPACE}",
        "--log-format=text",
        "--log-level=debug",
        "--prometheus-url=http://prometheus.monitoring:9090",
        "--prometheus-header=X-Scope-OrgID=@/etc/seatrial/headers/0/value",
        "--gateway=gateways/public",
        "--namespace=payments",
        "--namespace=search",
        "--workers=4",
        "--authors-kept",
        "--gitops-account=ci:*",
    ]


def test_the_operator_knows_its_own_image_and_takes_further_variables(chart: helm_python.Chart) -> None:
    operator = container(chart, EVERYTHING)
    assert operator["env"] == [{"name": "SEATRIAL_IMAGE", "value": operator["image"]}, *EVERYTHING["env"]]
    assert container(chart)["env"] == [{"name": "SEATRIAL_IMAGE", "value": container(chart)["image"]}]


def test_no_gitops_account_is_not_the_usual_ones(chart: helm_python.Chart) -> None:
    assert container(chart, {"authority": {"gitopsAccounts": []}})["args"][-1] == "--gitops-account="


@pytest.mark.parametrize("off", ["commands", "authors"])
def test_the_operator_is_told_of_authors_only_where_they_are_kept(chart: helm_python.Chart, off: str) -> None:
    """Without the names under commands, the name of an author is worth nothing."""
    values = {"authority": {off: False}}
    assert not any(argument.startswith("--authors-kept") for argument in container(chart, values)["args"])
    assert of_kind(render(chart, values), "MutatingAdmissionPolicy") == []
    assert "Nothing keeps the author of a revision here: trials with approval.notAuthor do not begin." in " ".join(
        notes(chart, values).split()
    )


def test_a_secret_header_is_a_file_that_only_the_operator_reads(chart: helm_python.Chart) -> None:
    pod = only(render(chart, EVERYTHING), "Deployment")["spec"]["template"]["spec"]
    (volume,) = (volume for volume in pod["volumes"] if "secret" in volume)
    assert volume["secret"] == {
        "secretName": "prometheus",
        "defaultMode": 0o440,
        "items": [{"key": "tenant", "path": "value"}],
    }
    assert "/etc/seatrial/headers/0" in {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}


def test_a_digest_replaces_the_tag(chart: helm_python.Chart) -> None:
    assert container(chart)["image"] == f"localhost/seatrial:{__version__}"
    assert container(chart, {"image": {"tag": "next"}})["image"] == "localhost/seatrial:next"
    assert container(chart, EVERYTHING)["image"] == "registry.example.com/seatrial@sha256:" + "a" * 64


# ---- Rights -----------------------------------------------------------------------------------------------------------

READ = frozenset({"get", "list", "watch"})

Rights = dict[tuple[str, str], frozenset[str]]


def rights(role: Manifest) -> Rights:
    """(group, resource) → verbs."""
    found: Rights = {}
    for rule in role["rules"]:
        assert set(rule) - {"resourceNames"} == {"apiGroups", "resources", "verbs"}, rule
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found[group, resource] = found.get((group, resource), frozenset()) | set(rule["verbs"])
    return found


def granted(manifests: list[Manifest]) -> dict[str | None, Rights]:
    """What the operator's account may do: by namespace, and under None everywhere."""
    account = only(manifests, "ServiceAccount")["metadata"]
    roles = {
        (m["kind"], m["metadata"].get("namespace"), m["metadata"]["name"]): m
        for m in manifests
        if m["kind"] in {"Role", "ClusterRole"}
    }
    result: dict[str | None, Rights] = {}
    for binding in of_kind(manifests, "ClusterRoleBinding") + of_kind(manifests, "RoleBinding"):
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
        ]
        namespace = binding["metadata"].get("namespace")
        role = roles[binding["roleRef"]["kind"], namespace, binding["roleRef"]["name"]]
        assert namespace not in result
        result[namespace] = rights(role)
    return result


def used(*scopes: str) -> Rights:
    """What the code uses: `cluster/permissions.py` lists it."""
    found: Rights = {}
    for right in permissions.RIGHTS:
        if right.scope in scopes:
            key = (right.group, right.resource)
            found[key] = found.get(key, frozenset()) | {right.verb}
    return found


def test_for_all_namespaces_the_rights_are_what_the_code_uses_and_no_more(chart: helm_python.Chart) -> None:
    """A right that nothing uses is as wrong as a missing one."""
    assert granted(render(chart)) == {None: used("models", "gateways", "freezes", "house"), NAMESPACE: used("lease")}


def test_for_two_namespaces_the_rights_end_there_but_for_what_lies_in_none(chart: helm_python.Chart) -> None:
    assert granted(render(chart, NAMESPACED)) == {
        None: used("gateways", "freezes", "house"),
        "payments": used("models"),
        "search": used("models"),
        NAMESPACE: used("lease"),
    }


def test_only_namespaces_that_are_watched_are_read(chart: helm_python.Chart) -> None:
    """Freezes are annotations on them, and on the operator's own for the whole cluster."""

    def read(values: Manifest | None = None) -> object:
        roles = (
            m for m in of_kind(render(chart, values), "ClusterRole") if m["metadata"]["name"].startswith(NAMESPACE)
        )
        (rule,) = (rule for role in roles for rule in role["rules"] if "namespaces" in rule["resources"])
        return rule.get("resourceNames")

    assert read() is None
    assert read(NAMESPACED) == ["payments", "search", NAMESPACE]


def test_models_are_never_written_but_for_their_status_and_a_finalizer(chart: helm_python.Chart) -> None:
    """Whatever the code's list says. What the patch may touch is for a policy to say (`tests/authority`)."""
    everywhere = granted(render(chart))[None]
    assert everywhere["seatrial.dev", "modeldeployments"] == READ | {"patch"}
    assert everywhere["seatrial.dev", "modeldeployments/status"] <= {"get", "patch", "update"}


def test_no_role_has_a_wildcard_or_reads_secrets(chart: helm_python.Chart) -> None:
    manifests = render(chart)
    for role in of_kind(manifests, "Role") + of_kind(manifests, "ClusterRole"):
        for (group, resource), verbs in rights(role).items():
            assert "*" not in {group, resource, *verbs}
            assert resource != "secrets"
            assert not verbs & {"escalate", "bind", "impersonate"}


def test_only_the_one_lease_can_be_read_or_taken(chart: helm_python.Chart) -> None:
    (role,) = (m for m in of_kind(render(chart), "Role") if m["metadata"]["namespace"] == NAMESPACE)
    assert [(rule.get("resourceNames"), rule["verbs"]) for rule in role["rules"]] == [
        ([lease.NAME], ["get", "update"]),
        (None, ["create"]),
    ]


def test_the_rights_are_about_the_kinds_that_the_code_knows(chart: helm_python.Chart) -> None:
    known = {(kind.group, kind.plural) for kind in vars(kinds).values() if isinstance(kind, kinds.Kind)}
    allowed = {
        (group, resource.partition("/")[0]) for found in granted(render(chart)).values() for group, resource in found
    }
    assert allowed == known


def test_viewers_view_and_editors_edit_models(chart: helm_python.Chart) -> None:
    roles = {m["metadata"]["name"].rpartition(":")[2]: m for m in of_kind(render(chart), "ClusterRole")}
    assert roles["view"]["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert "rbac.authorization.k8s.io/aggregate-to-view" not in roles["edit"]["metadata"]["labels"]
    assert rights(roles["view"]) == {
        ("seatrial.dev", name): READ
        for name in (
            "modeldeployments",
            "modeldeployments/status",
            "modeldeployments/scale",
            "trialpolicies",
            "clustertrialpolicies",
        )
    }
    edits = rights(roles["edit"])
    assert edits["seatrial.dev", "modeldeployments"] == {"create", "update", "patch", "delete", "deletecollection"}
    assert ("seatrial.dev", "modeldeployments/status") not in edits


def test_house_rules_are_written_by_administrators_and_never_by_the_operator(chart: helm_python.Chart) -> None:
    """Those of many namespaces by nobody who was not given the right by name."""
    roles = {m["metadata"]["name"].rpartition(":")[2]: m for m in of_kind(render(chart), "ClusterRole")}
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    for role, kind, holders in (
        ("policies", "trialpolicies", {"admin"}),
        ("cluster-policies", "clustertrialpolicies", set[str]()),
    ):
        assert rights(roles[role])["seatrial.dev", kind] >= {"create", "update", "patch", "delete"}
        labels = roles[role]["metadata"]["labels"]
        assert {label.removeprefix(prefix) for label in labels if label.startswith(prefix)} == holders
        assert granted(render(chart))[None]["seatrial.dev", kind] == {"list", "watch"}
    edits = rights(roles["edit"])
    assert not {kind for _, kind in edits if "policies" in kind}


def test_who_edits_may_operate_who_administers_may_approve_and_nobody_may_skip_checks(
    chart: helm_python.Chart,
) -> None:
    """A command is a verb of its own, and the patch that writes it down."""
    roles = {m["metadata"]["name"].rpartition(":")[2]: m for m in of_kind(render(chart), "ClusterRole")}
    everybody = {"operate": {"edit", "admin"}, "approve": {"admin"}, "skip-checks": set[str]()}
    for verb, holders in everybody.items():
        assert rights(roles[verb]) == {("seatrial.dev", "modeldeployments"): READ | {"patch", verb}}
        prefix = "rbac.authorization.k8s.io/aggregate-to-"
        labels = roles[verb]["metadata"]["labels"]
        assert {label.removeprefix(prefix) for label in labels if label.startswith(prefix)} == holders


def test_a_policy_looks_where_the_operator_looks(chart: helm_python.Chart) -> None:
    policies = of_kind(render(chart, NAMESPACED), "ValidatingAdmissionPolicy")
    assert len(policies) == 3
    for policy in policies:
        assert policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"] == [
            {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["payments", "search"]}
        ]
        assert policy["spec"]["failurePolicy"] == "Fail"


def test_policies_know_the_actions_and_what_makes_a_revision(chart: helm_python.Chart) -> None:
    """They are written once more in CEL: an action or a field that is added belongs there too."""
    commands, authors = (
        next(m for m in of_kind(render(chart), "ValidatingAdmissionPolicy") if m["metadata"]["name"].startswith(name))
        for name in ("commands.", "authors.")
    )
    expressions = {variable["name"]: variable["expression"] for variable in commands["spec"]["variables"]}
    assert f"({'|'.join(Action)})" in expressions["readable"]
    asked = " ".join(rule["expression"] for rule in commands["spec"]["validations"])
    assert all(f"'{action}'" in asked for action in Action)
    fields = next(v["expression"] for v in authors["spec"]["variables"] if v["name"] == "newRevision")
    spec = {"template": 1, "runtime": 2, "port": 3, "model": {"version": 4}, "replicas": 5}
    used = revision_input(spec)
    assert set(re.findall(r"object\.spec\.([?.a-z]+) !=", fields)) == {
        ("?" if key != "template" else "") + (f"{key}.?version" if key == "model" else key) for key in used
    }


def test_rights_can_be_left_to_somebody_else(chart: helm_python.Chart) -> None:
    values = {
        "rbac": {"create": False, "aggregate": False},
        "serviceAccount": {"create": False, "name": "given"},
        "crds": {"install": False},
        "authority": {"commands": False},
    }
    manifests = render(chart, values)
    assert {m["kind"] for m in manifests} == {"Deployment"}
    assert only(manifests, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "given"


# ---- The CRD ----------------------------------------------------------------------------------------------------------


def test_uninstalling_keeps_the_crds_and_so_every_model_and_policy(chart: helm_python.Chart) -> None:
    crds = {crd["metadata"]["name"]: crd for crd in of_kind(render(chart), "CustomResourceDefinition")}
    plurals = ("modeldeployments", "trialpolicies", "clustertrialpolicies")
    assert set(crds) == {f"{plural}.seatrial.dev" for plural in plurals}
    assert all(crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for crd in crds.values())


def test_the_crds_of_the_chart_are_those_in_crds(chart: helm_python.Chart) -> None:
    plain = [yaml.safe_load(path.read_text()) for path in (ROOT / "crds").glob("*.yaml")]
    rendered = of_kind(render(chart), "CustomResourceDefinition")
    assert {crd["metadata"]["name"]: crd["spec"] for crd in rendered} == {
        crd["metadata"]["name"]: crd["spec"] for crd in plain
    }


def test_the_crd_can_be_left_out(chart: helm_python.Chart) -> None:
    assert of_kind(render(chart, {"crds": {"install": False}}), "CustomResourceDefinition") == []


# ---- Values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"promethues": {"url": "http://p:9090"}}, "promethues"),
        ({"prometheus": {"uri": "http://p:9090"}}, "uri"),
        ({"prometheus": {"url": "p:9090"}}, "/prometheus/url"),
        ({"prometheus": {"headers": [{"name": "X", "value": "plain"}]}}, "value"),
        ({"prometheus": {"headers": [{"name": "bad name", "secret": {"name": "s", "key": "k"}}]}}, "/name"),
        ({"gateway": "public"}, "/gateway"),
        ({"watch": {"namespaces": "payments"}}, "/watch/namespaces"),
        ({"watch": {"namespaces": ["a", "a"]}}, "/watch/namespaces"),
        ({"workers": 0}, "/workers"),
        ({"log": {"format": "xml"}}, "/log/format"),
        ({"image": {"digest": "latest"}}, "/image/digest"),
        ({"replicas": "two"}, "/replicas"),
        ({"crds": {"instal": True}}, "instal"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_typo_or_an_impossible_value_is_refused_by_name(
    chart: helm_python.Chart, values: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(helm_python.HelmError, match=re.escape(complaint)):
        chart.validate_schema(values)


def test_the_schema_knows_every_value_and_no_other(chart: helm_python.Chart) -> None:
    def names(schema: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: names(sub) for key, sub in schema["properties"].items() if key != "global" and "properties" in sub
        } | {key: None for key, sub in schema["properties"].items() if key != "global" and "properties" not in sub}

    def shape(values: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
        return {key: shape(value, like[key]) if like.get(key) else None for key, value in values.items()}

    schema = names(json.loads((CHART / "values.schema.json").read_text()))
    schema["resources"] = None  # whatever Kubernetes takes
    assert shape(yaml.safe_load((CHART / "values.yaml").read_text()), schema) == schema


def test_every_value_has_a_comment() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    bare = []
    for before, line, after in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
        section = line.endswith(":") and len(after) - len(after.lstrip()) > len(line) - len(line.lstrip())
        if re.match(r"\s*\w+:", line) and not section and not before.strip().startswith("#"):
            bare.append(line)
    assert bare == []


# ---- What it tells ----------------------------------------------------------------------------------------------------


def test_the_notes_say_how_to_build_and_load_an_image_that_is_published_nowhere(chart: helm_python.Chart) -> None:
    told = notes(chart)
    assert "make image" in told
    assert "kind load image-archive" in told
    assert "kubectl apply -f examples/quickstart.yaml" in told
    assert "make image" not in notes(chart, EVERYTHING)


def test_the_notes_say_what_is_not_set_yet(chart: helm_python.Chart) -> None:
    assert "No Prometheus is set" in notes(chart)
    assert "No default gateway is set" in notes(chart)
    for missing in ("No Prometheus is set", "No default gateway is set"):
        assert missing not in notes(chart, EVERYTHING)
    assert "payments, search" in notes(chart, EVERYTHING)
