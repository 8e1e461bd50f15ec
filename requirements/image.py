"""The operator's image: `python3 requirements/image.py context|build`.

`context` fills build-out/image with wheels for the image's Python, whatever Python runs here. `build` then takes the
engine that answers, docker or podman; without one, on Linux as root, buildah on a Debian base that is made here too.
Either way it prints the archive with the image in it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Run as a script, Python looks for modules in requirements/ only.
sys.path.insert(0, str(ROOT))

from dev import images, wheels  # noqa: E402
from dev.cache import lock  # noqa: E402
from dev.errors import DevError  # noqa: E402
from dev.progress import say  # noqa: E402

CONTEXT = ROOT / "build-out" / "image"
ARCHIVE = ROOT / "build-out" / "seatrial-image.tar"
LOCK = ROOT / "requirements" / "runtime.lock"


def version() -> str:
    """The operator's version, which is the image's tag."""
    source = (ROOT / "operator" / "seatrial" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'__version__ = "([^"]+)"', source)
    if found is None:
        raise DevError("operator/seatrial/__init__.py names no __version__.")
    return found[1]


def tag() -> str:
    """The name that the chart's values give too."""
    return f"localhost/seatrial:{version()}"


def context() -> Path:
    """The build context: the locked wheels, the project's own, and the lock."""
    fetched = wheels.wheels(LOCK)
    shutil.rmtree(CONTEXT, ignore_errors=True)
    shutil.copytree(fetched, CONTEXT / "wheels", ignore=shutil.ignore_patterns(".*"))
    shutil.copy(LOCK, CONTEXT / LOCK.name)
    hatchling = [str(ROOT / ".venv" / "bin" / "hatchling"), "build", "-t", "wheel", "-d", str(CONTEXT / "wheels")]
    built = subprocess.run(hatchling, cwd=ROOT, check=False, capture_output=True, text=True)
    if built.returncode != 0:
        raise DevError(f"The project's wheel cannot be built: {built.stderr.strip()}")
    return CONTEXT


def build() -> Path:
    """The image as an archive, from whatever can build here."""
    place = context()
    ARCHIVE.unlink(missing_ok=True)
    engine = _engine()
    if engine is None:
        say("no docker or podman answers: building with buildah on a Debian base")
        archive = images.build_image(place, ROOT / "Dockerfile", {"BASE": images.BASE}, tag())
        ARCHIVE.symlink_to(archive)
        return ARCHIVE
    say(f"building with {engine}")
    for command in (
        [engine, "build", "--tag", tag(), "--file", str(ROOT / "Dockerfile"), str(place)],
        [engine, "save", "--output", str(ARCHIVE), tag()],
    ):
        if subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode != 0:
            raise DevError(f"`{' '.join(command[:2])}` failed; its message is above.")
    return ARCHIVE


def _engine() -> str | None:
    for name in ("docker", "podman"):
        if shutil.which(name) is None:
            continue
        try:
            if subprocess.run([name, "info"], check=False, capture_output=True, timeout=5).returncode == 0:
                return name
        except subprocess.TimeoutExpired:
            continue
    return None


def main() -> int:
    """Print the path of what was made."""
    parser = argparse.ArgumentParser(description="The operator's image.")
    parser.add_argument("what", choices=["context", "build"])
    what = parser.parse_args().what
    try:
        # Two of these in one checkout would empty each other's context.
        with lock("image", "somebody is building the image here: waiting", ROOT / ".make"):
            print(build() if what == "build" else context())
    except DevError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
