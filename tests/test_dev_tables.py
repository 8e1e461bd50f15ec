"""The tables of tools and images agree with their pins, and with what may be written down."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from dev import addons, api, extras, images, tools, wheels
from dev.errors import DevError
from dev.golang import MODULES, GoCommand

ROOT = Path(__file__).parent.parent
DEV = ROOT / "dev"


def test_it_runs_before_anything_is_installed() -> None:
    """The standard library is enough: no site-packages, no environment."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import dev.cli, dev.node, dev.controlplane, dev.extras"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


@pytest.mark.parametrize("name", [name for name, tool in tools.TOOLS.items() if isinstance(tool.source, GoCommand)])
def test_a_go_tool_is_pinned(name: str) -> None:
    """Its module folder has a version for it, and checksums."""
    source = tools.TOOLS[name].source
    assert isinstance(source, GoCommand)
    assert re.fullmatch(r"v\d+\.\d+\.\d+|local", source.version)
    assert (MODULES / source.folder / "go.sum").exists()
    if source.module:
        assert f'"{source.package}"' in (MODULES / source.folder / "tools.go").read_text()


def test_every_module_folder_is_used() -> None:
    """A folder that no tool names is left over."""
    used = {tool.source.folder for tool in tools.TOOLS.values() if isinstance(tool.source, GoCommand)}
    assert used == {folder.name for folder in MODULES.iterdir()}


def test_what_clusters_need_is_in_the_tables() -> None:
    """A name that is not in its table would fail only when a cluster starts."""
    assert set(tools.NODE) <= set(tools.TOOLS)
    assert set(images.NODE_IMAGES) <= set(images.IMAGES)
    assert {image for extra in extras.EXTRAS.values() for image in extra.images} <= set(images.IMAGES)


def test_no_cluster_waits_for_an_add_on() -> None:
    """They are built for minutes, and only who asks for one has it."""
    for extra in extras.EXTRAS.values():
        assert not {*extra.images} & {*images.NODE_IMAGES, *tools.NODE}
        assert {*extra.images} <= {*tools.ON_REQUEST} & {*images.ON_REQUEST}


def test_an_unknown_add_on_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DevError, match=r"There are: metrics-server, keda"):
        extras.ensure("any", "metrics")


@pytest.mark.parametrize("image", images.IMAGES.values(), ids=lambda image: image.name)
def test_an_image_has_its_dockerfile_and_a_tag_of_its_own(image: images.Image) -> None:
    """Tags are local: nothing may look for them in a registry."""
    assert image.dockerfile.exists()
    assert image.tag.startswith("localhost/")
    assert [other.name for other in images.IMAGES.values() if other.tag == image.tag] == [image.name]


@pytest.mark.parametrize("name", ["coredns", "envoy", "envoy-gateway", "metrics-server", "keda", "keda-adapter"])
def test_the_tag_is_the_version_of_the_tool(name: str) -> None:
    """Who raises a pin raises the tag."""
    assert images.IMAGES[name].tag.rsplit(":v", 1)[1] == tools.TOOLS[name].source.version.removeprefix("v")


def test_the_tag_of_prometheus_is_its_release() -> None:
    """Its Go module counts 0.315 for the release 3.15."""
    major, minor, patch = images.IMAGES["prometheus"].tag.rsplit(":v", 1)[1].split(".")
    assert tools.TOOLS["prometheus"].source.version == f"v0.{int(major)}{int(minor):02}.{patch}"


def test_a_base_named_by_an_argument_counts_as_a_base() -> None:
    """A change of the base has to build the image again."""
    dockerfile = "ARG BASE=elsewhere\nFROM ${BASE}\n"
    assert images._bases(dockerfile, {}) == []
    assert images._bases(dockerfile, {"BASE": images.BASE}) == ["seatrial-base"]


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    """The message is the list to choose from."""
    with pytest.raises(DevError, match=r"There are: .*kubectl"):
        tools.path("kubctl")
    with pytest.raises(DevError, match=r"There are: .*mlserver"):
        images.archive("mlsever")


def test_a_missing_package_is_named_to_whoever_is_not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with the command to run."""
    monkeypatch.setattr(tools, "find_command", lambda _: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(DevError, match=r"sudo apt-get install buildah runc$"):
        tools.require("runc", "buildah")


def test_the_name_in_an_archive_is_read(tmp_path: Path) -> None:
    """It is what a pod has to ask for."""
    index = b'{"manifests":[{"annotations":{"org.opencontainers.image.ref.name":"localhost/x:1"}}]}'
    archive = tmp_path / "x.tar"
    with tarfile.open(archive, "w") as tar:
        info = tarfile.TarInfo("index.json")
        info.size = len(index)
        tar.addfile(info, io.BytesIO(index))
    assert images.tag_of(archive) == "localhost/x:1"


@pytest.mark.parametrize("lock", sorted(images.FOLDER.glob("*.lock")), ids=lambda path: path.name)
def test_a_lock_file_pins_every_package_by_hash(lock: Path) -> None:
    """pip checks each wheel."""
    lines = [line for line in lock.read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert all(re.fullmatch(r"[a-z0-9.-]+==\S+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)
    assert wheels.recipe(lock).key


@pytest.mark.parametrize("name", sorted(path.stem for path in addons.MANIFESTS.glob("*.yaml")))
@pytest.mark.parametrize("exposure", [addons.Exposure(dns_service="198.19.0.10"), addons.Exposure(30080, 30090)])
def test_manifests_leave_nothing_open(name: str, exposure: addons.Exposure) -> None:
    """Every placeholder has a value, for both ways to run."""
    assert "${" not in addons.manifest(name, exposure.values())


def test_no_file_names_the_host_of_a_registry() -> None:
    """Packages come by the clients as the machine has set them up."""
    hosts = re.compile(r"pypi\.org|pythonhosted|proxy\.golang|sum\.golang|deb\.debian\.org|index-url|docker\.io/")
    files = [path for path in DEV.rglob("*") if path.is_file() and path.suffix not in {".pyc", ".sum"}]
    assert [str(path) for path in files if hosts.search(path.read_text(errors="replace"))] == []


def test_a_definition_is_known_by_its_own_name() -> None:
    """Not by a name further down, in its schema."""
    text = "kind: CustomResourceDefinition\nmetadata:\n  annotations:\n    name: no\n  name: yes.example\nspec:\n  names: {}\n"
    assert api._name_of(text) == "yes.example"
    with pytest.raises(DevError, match="no name"):
        api._name_of("kind: CustomResourceDefinition\n")
