"""Container images without a registry: buildah builds them, an OCI archive keeps them.

`archive("mlserver")` gives the archive of one of our images, built on first
use. `build_image(…)` builds any Dockerfile, such as the operator's own.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dev import tools
from dev.cache import Recipe, cache_dir, obtain
from dev.errors import DevError
from dev.progress import run_logged
from dev.wheels import recipe as wheels_recipe
from dev.wheels import wheels

FOLDER = Path(__file__).parent / "images"
ARCHIVE = "image.tar"
BASE = "localhost/seatrial-base:bookworm"

Fill = Callable[[Path, Path], None]
"""Puts one part of the build context into a folder; the second path is the log."""


@dataclass(frozen=True)
class Image:
    """One of our images: `dev/images/<name>.Dockerfile` and what its context holds."""

    name: str
    tag: str
    inputs: Callable[[], tuple[str, ...]]
    """What the context is made from, as text for the cache key, without making it."""
    fill: Fill
    usual_seconds: float
    privileged: bool = False
    """Whether making the context needs root and debootstrap."""

    @property
    def dockerfile(self) -> Path:
        """Its Dockerfile."""
        return FOLDER / f"{self.name}.Dockerfile"

    @property
    def recipe(self) -> Recipe:
        """The cache key: the Dockerfile, the context, and the base it names."""
        text = self.dockerfile.read_text(encoding="utf-8")
        bases = tuple(IMAGES[base].recipe.key for base in _bases(text, {}))
        return Recipe(f"image-{self.name}", _version(self.tag), (text, *bases, *self.inputs()), self.usual_seconds)


def _version(tag: str) -> str:
    return tag.rsplit(":", 1)[1]


def _binary(name: str, *, libraries: bool = False, empty: bool = False) -> tuple[Callable[[], tuple[str, ...]], Fill]:
    """The context of an image that is one tool, with its C libraries if it is not static."""

    def inputs() -> tuple[str, ...]:
        return (tools.TOOLS[name].recipe.key, str(libraries), str(empty))

    def fill(context: Path, _log: Path) -> None:
        shutil.copy(tools.path(name), context / name)
        if libraries:
            _copy_libraries(tools.path(name), context / "libraries")
        if empty:
            # Becomes /tmp, which any user may write to.
            (context / "empty").mkdir()
            (context / "empty").chmod(0o1777)

    return inputs, fill


def _copy_libraries(binary: Path, target: Path) -> None:
    """Copy the shared libraries of a binary to the places its loader looks in."""
    answer = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=True)
    for found in re.findall(r"(?:=> )?(/\S+) \(0x", answer.stdout):
        place = target / found.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(os.path.realpath(found), place)
        place.chmod(0o755)


_DEBIAN = ("bookworm", "python3,python3-venv,ca-certificates")


def _fill_debian(context: Path, log: Path) -> None:
    suite, packages = _DEBIAN
    root = context / "rootfs"
    run_logged(
        [tools.find_command("debootstrap") or "debootstrap", "--variant=minbase", f"--include={packages}", suite, root],
        log,
    )
    for waste in (
        "var/cache/apt",
        "var/lib/apt/lists",
        "usr/share/doc",
        "usr/share/man",
        "usr/share/locale",
        "var/log",
    ):
        shutil.rmtree(root / waste, ignore_errors=True)
        (root / waste).mkdir()
    run_logged(["tar", "-C", root, "--numeric-owner", "-cf", context / "rootfs.tar", "."], log)
    shutil.rmtree(root)


def _fill_mlserver(context: Path, _log: Path) -> None:
    lock = FOLDER / "mlserver.lock"
    shutil.copy(lock, context / lock.name)
    shutil.copytree(wheels(lock), context / "wheels", ignore=shutil.ignore_patterns(".*"))


IMAGES: dict[str, Image] = {
    image.name: image
    for image in (
        Image("pause", "localhost/pause:1", *_binary("pause"), 3),
        Image("coredns", "localhost/coredns:v1.13.1", *_binary("coredns"), 3),
        Image("envoy-gateway", "localhost/envoy-gateway:v1.9.1", *_binary("envoy-gateway", empty=True), 5),
        Image("envoy", "localhost/envoy:v1.40.0", *_binary("envoy", libraries=True, empty=True), 5),
        Image("prometheus", "localhost/prometheus:v3.15.0", *_binary("prometheus", empty=True), 5),
        Image("metrics-server", "localhost/metrics-server:v0.9.0", *_binary("metrics-server"), 3),
        Image("keda", "localhost/keda:v2.21.0", *_binary("keda"), 5),
        Image("keda-adapter", "localhost/keda-adapter:v2.21.0", *_binary("keda-adapter"), 5),
        Image("seatrial-base", BASE, lambda: _DEBIAN, _fill_debian, 55, privileged=True),
        Image(
            "mlserver",
            "localhost/mlserver:1.7.1",
            lambda: (wheels_recipe(FOLDER / "mlserver.lock").key,),
            _fill_mlserver,
            60,
        ),
    )
}
"""Our images. Those that are one tool carry the tool's version as their tag."""

NODE_IMAGES = ("pause", "coredns", "envoy", "envoy-gateway", "prometheus")
"""What every cluster runs."""
ON_REQUEST = ("metrics-server", "keda", "keda-adapter")
"""What is made only for who asks for it by name."""


def archive(name: str) -> Path:
    """The OCI archive of one of our images, built if the cache does not have it."""
    image = IMAGES.get(name)
    if image is None:
        raise DevError(f"There is no image {name!r}. There are: {', '.join(IMAGES)}.")

    def build(folder: Path, log: Path) -> None:
        if image.privileged:
            _require_root(f"The image {image.tag}")
            tools.require("debootstrap")
        with tempfile.TemporaryDirectory(dir=_scratch(), prefix=f"{name}-") as place:
            context = Path(place)
            context.chmod(0o755)
            image.fill(context, log)
            _bud(context, image.dockerfile, {}, image.tag, folder / ARCHIVE, log)

    return obtain(image.recipe, build) / ARCHIVE


def build_image(context: Path, dockerfile: Path, build_args: Mapping[str, str], tag: str) -> Path:
    """Build an ordinary Dockerfile; gives its OCI archive, from the cache if nothing changed.

    Nothing is fetched: bases are our images (``localhost/seatrial-base:bookworm``)
    and packages are wheels in the context (`dev.wheels.wheels`). `.dockerignore`
    is honoured by the build, but any change in the context builds again.
    """
    digest = hashlib.sha256()
    for path in sorted(context.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(context)}\0{path.stat().st_mode}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    text = dockerfile.read_text(encoding="utf-8")
    arguments = tuple(f"{key}={value}" for key, value in sorted(build_args.items()))
    bases = tuple(IMAGES[base].recipe.key for base in _bases(text, build_args))
    name = tag.rsplit(":", 1)[0].rsplit("/", 1)[-1]
    recipe = Recipe(f"image-{name}", _version(tag), (tag, text, *arguments, *bases, digest.hexdigest()), 30)

    def build(folder: Path, log: Path) -> None:
        _bud(context, dockerfile, build_args, tag, folder / ARCHIVE, log)

    return obtain(recipe, build) / ARCHIVE


def tag_of(archive_path: Path) -> str:
    """The name that an OCI archive of ours carries."""
    answer = subprocess.run(
        ["tar", "-xOf", str(archive_path), "index.json"], capture_output=True, text=True, check=False
    )
    found = re.search(r'"org.opencontainers.image.ref.name":\s*"([^"]+)"', answer.stdout)
    if found is None:
        raise DevError(f"{archive_path} is not an OCI archive with a name in it.")
    return found.group(1)


def _bases(dockerfile: str, build_args: Mapping[str, str]) -> list[str]:
    """Which of our images a Dockerfile with these arguments is built on."""
    text = dockerfile + "\n" + "\n".join(build_args.values())
    return [name for name, image in IMAGES.items() if image.tag in text]


def _require_root(what: str) -> None:
    if os.geteuid() != 0:
        raise DevError(f"{what} is built as root. Run the command as root, or with sudo --preserve-env=HOME.")


def _scratch() -> Path:
    folder = cache_dir() / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _buildah(*arguments: str | Path) -> list[str | Path]:
    """buildah with a storage of its own, so that the machine's stays as it is."""
    store = cache_dir() / "buildah"
    return ["buildah", "--root", store / "root", "--runroot", store / "run", "--storage-driver", "overlay", *arguments]


_ENV = {"BUILDAH_ISOLATION": "chroot"}


def _bud(context: Path, dockerfile: Path, build_args: Mapping[str, str], tag: str, target: Path, log: Path) -> None:
    _require_root(f"The image {tag}")
    tools.require("buildah")
    for base in _bases(dockerfile.read_text(encoding="utf-8"), build_args):
        _ensure_stored(IMAGES[base], log)
    arguments = [part for key, value in build_args.items() for part in ("--build-arg", f"{key}={value}")]
    argv = _buildah(
        "bud",
        "--pull-never",
        "--layers=false",
        "--format",
        "oci",
        "--file",
        dockerfile,
        "--tag",
        tag,
        *arguments,
        context,
    )
    run_logged(argv, log, env=_ENV)
    run_logged(_buildah("push", tag, f"oci-archive:{target}:{tag}"), log)
    if tag != BASE:
        run_logged(_buildah("rmi", tag), log)


def _ensure_stored(image: Image, log: Path) -> None:
    """Have the base in buildah's storage, from its archive."""
    source = archive(image.name)
    marker = cache_dir() / "buildah" / f"{image.name}.key"
    stored = subprocess.run(
        [str(part) for part in _buildah("inspect", "--type", "image", image.tag)], capture_output=True, check=False
    )
    if stored.returncode == 0 and marker.exists() and marker.read_text(encoding="utf-8") == image.recipe.key:
        return
    run_logged(_buildah("pull", f"oci-archive:{source}"), log)
    marker.write_text(image.recipe.key, encoding="utf-8")
