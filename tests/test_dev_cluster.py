"""Clusters by name: records, the choice of a provider, and the command line."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dev import cluster, kind, sandbox
from dev.cli import main
from dev.cluster import Cluster
from dev.errors import DevError
from dev.supervise import Supervisor

VARIABLES = ("SEATRIAL_PROVIDER", "SEATRIAL_CLUSTER_KUBECONFIG", "SEATRIAL_CLUSTER_CONSENT")
VARIABLES_OF_THE_USER = (*VARIABLES, "SEATRIAL_GATEWAY_ADDRESS", "SEATRIAL_PROMETHEUS_URL")


@pytest.fixture(autouse=True)
def _own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sandbox, "CLAIMS", tmp_path / "claims")
    monkeypatch.setattr(kind, "engine", lambda: None)
    for name in VARIABLES_OF_THE_USER:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def users_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubeconfig that the user names, with all that goes with it but the consent."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("{}")
    monkeypatch.setenv("SEATRIAL_CLUSTER_KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("SEATRIAL_GATEWAY_ADDRESS", "192.0.2.1:80")
    monkeypatch.setenv("SEATRIAL_PROMETHEUS_URL", "http://192.0.2.2:9090/")
    return kubeconfig


def test_the_sandbox_is_for_machines_without_an_engine() -> None:
    """Nothing named, no engine: the sandbox."""
    assert cluster.choose_provider() == "sandbox"


def test_kind_is_chosen_where_an_engine_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker or Podman make kind the natural way."""
    monkeypatch.setattr(kind, "engine", lambda: "docker")
    assert cluster.choose_provider() == "kind"


@pytest.mark.usefixtures("users_cluster")
def test_a_cluster_that_the_user_names_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was named for a reason."""
    monkeypatch.setattr(kind, "engine", lambda: "docker")
    assert cluster.choose_provider() == "named"


@pytest.mark.usefixtures("users_cluster")
def test_the_choice_can_be_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    """SEATRIAL_PROVIDER has the last word."""
    monkeypatch.setenv("SEATRIAL_PROVIDER", "sandbox")
    assert cluster.choose_provider() == "sandbox"


@pytest.mark.usefixtures("users_cluster")
def test_a_users_cluster_is_not_touched_without_consent() -> None:
    """A kubeconfig alone may be there by accident."""
    with pytest.raises(DevError, match="SEATRIAL_CLUSTER_CONSENT=yes"):
        cluster.up("x")


def test_a_users_cluster_is_recorded_and_only_forgotten(users_cluster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`down` removes our record and leaves the cluster and its kubeconfig alone."""
    monkeypatch.setenv("SEATRIAL_CLUSTER_CONSENT", "yes")
    made = cluster.up("x")
    assert made == Cluster("x", "named", users_cluster, "192.0.2.1:80", "http://192.0.2.2:9090")
    assert cluster.find("x") == made
    assert cluster.down("x")
    assert cluster.find("x") is None
    assert users_cluster.exists()


def test_a_sandbox_without_root_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to do instead."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(DevError, match=r"as root: use sudo"):
        cluster.up("x", "sandbox")


@pytest.mark.parametrize("name", ["", "A", "a_b", "../x", "-a", "a-", "a" * 31])
def test_bad_names_are_refused(name: str) -> None:
    """A name becomes a folder, and part of other names."""
    with pytest.raises(DevError, match="no name for a cluster"):
        cluster.up(name)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"name": "x", "surprise": 1}'])
def test_a_broken_record_is_no_cluster(content: str) -> None:
    """It is then half up: `up` starts anew and `down` removes it."""
    record = cluster._state("x") / "cluster.json"
    record.parent.mkdir(parents=True)
    record.write_text(content)
    assert cluster.find("x") is None
    assert cluster.status("x") == "partial"
    assert cluster.down("x")
    assert cluster.status("x") == "absent"


def test_down_without_a_cluster_is_no_error() -> None:
    """Who cleans up need not know what there was."""
    assert not cluster.down("x")


def test_an_index_is_claimed_for_one_state_folder(tmp_path: Path) -> None:
    """`down` must never remove the network of another cluster."""
    sandbox.CLAIMS.mkdir()
    (sandbox.CLAIMS / "seatrial7").write_text(str(tmp_path / "a"))
    found = sandbox.claimed(tmp_path / "a")
    assert found is not None
    assert found.index == 7
    assert sandbox.claimed(tmp_path / "b") is None


def test_the_environment_is_for_a_shell(
    users_cluster: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`eval "$(… env NAME)"` sets what kubectl and the tests read."""
    monkeypatch.setenv("SEATRIAL_CLUSTER_CONSENT", "yes")
    cluster.up("x")
    assert main(["cluster", "env", "x"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"export KUBECONFIG={users_cluster}" in lines
    assert "export SEATRIAL_GATEWAY_ADDRESS=192.0.2.1:80" in lines


def test_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """0 done, 1 failed with its reason, 2 misused, 3 not up."""
    assert main(["cluster", "list"]) == 0
    assert main(["cluster", "env", "x"]) == 1
    assert "cluster up x" in capsys.readouterr().err
    assert main(["cluster", "status", "x"]) == 3
    with pytest.raises(SystemExit) as misuse:
        main(["cluster", "sideways"])
    assert misuse.value.code == 2


def test_a_process_that_ends_is_reported_with_its_log(tmp_path: Path) -> None:
    """Waiting for something that died would only take longer."""
    supervisor = Supervisor(tmp_path)
    supervisor.start("bad", ["sh", "-c", "echo no such port; exit 4"])
    with pytest.raises(DevError, match=r"exit code 4(.|\n)*no such port"):
        supervisor.wait_until("bad", lambda: False, 10)


def test_what_ends_is_started_again_and_what_is_stubborn_is_killed(tmp_path: Path) -> None:
    """The node outlives a crash of one of its parts, and stopping it always ends."""
    supervisor = Supervisor(tmp_path)
    supervisor.start("stubborn", ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"])
    supervisor.start("short", ["true"])
    supervisor.wait_until("stubborn", lambda: "up" in (tmp_path / "stubborn.log").read_text(), 10)
    supervisor.processes["short"].wait()
    assert supervisor.restart_ended() == ["short"]
    process = supervisor.processes["stubborn"]
    supervisor.stop(grace_seconds=0.2)
    assert process.returncode == -signal.SIGKILL


def test_processes_end_with_a_killed_parent(tmp_path: Path) -> None:
    """Nobody is left to stop them, so the kernel does."""
    code = (
        "import sys, time; from pathlib import Path; from dev.supervise import Supervisor\n"
        "s = Supervisor(Path(sys.argv[1])); s.start('child', ['sleep', '60'])\n"
        "print(s.processes['child'].pid, flush=True); time.sleep(60)"
    )
    root = Path(__file__).parent.parent
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=root, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    limit = time.monotonic() + 5
    while _runs(child) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    """Whether a process is there and not only waiting to be collected."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"
