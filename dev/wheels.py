"""Wheels for images, and the lock files that pin them.

Images install from a folder of wheels without a network. They run Python 3.11
of Debian 12, whatever Python runs this.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from dev.cache import Recipe, obtain
from dev.errors import DevError
from dev.progress import run_logged

IMAGE_PYTHON = "3.11"
# The C libraries of Debian 12 and older, newest first.
_PLATFORMS = (
    "manylinux_2_36_x86_64",
    "manylinux_2_34_x86_64",
    "manylinux_2_31_x86_64",
    "manylinux_2_28_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
    "manylinux_2_12_x86_64",
    "manylinux2010_x86_64",
    "manylinux_2_5_x86_64",
    "manylinux1_x86_64",
    "linux_x86_64",
)


def _target() -> list[str]:
    platforms = [part for platform in _PLATFORMS for part in ("--platform", platform)]
    return ["--only-binary=:all:", "--implementation", "cp", "--python-version", IMAGE_PYTHON, *platforms]


def _pip(command: str) -> list[str]:
    return [sys.executable, "-m", "pip", "--disable-pip-version-check", command, "--quiet"]


def wheels(lock: Path) -> Path:
    """The folder with the wheels of one lock file, fetched by pip and checked by hash."""
    return obtain(recipe(lock), lambda folder, log: _download(lock, folder, log))


def recipe(lock: Path) -> Recipe:
    """The cache key of a lock file's wheels."""
    return Recipe(f"wheels-{lock.stem}", IMAGE_PYTHON, (lock.read_text(encoding="utf-8"),), usual_seconds=40)


def _download(lock: Path, folder: Path, log: Path) -> None:
    argv = [*_pip("download"), "--no-deps", "--require-hashes", *_target(), "-d", str(folder), "-r", str(lock)]
    run_logged(argv, log)


def write_lock(requirements: Path, lock: Path) -> int:
    """Resolve `requirements` for the images' Python and pin everything; gives the number of pins.

    pip evaluates environment markers with the Python that runs it, so this
    asks for the same one.
    """
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if running != IMAGE_PYTHON:
        raise DevError(f"Lock files for images are written with Python {IMAGE_PYTHON}; this is {running}.")
    argv = [*_pip("install"), "--dry-run", "--ignore-installed", "--report", "-", "--target", "/nonexistent"]
    argv += _target()
    answer = subprocess.run([*argv, "-r", str(requirements)], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise DevError(f"pip cannot resolve {requirements}: {answer.stderr.strip()}")
    pins = {}
    for item in json.loads(answer.stdout)["install"]:
        name = item["metadata"]["name"].lower().replace("_", "-")
        digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
        pins[name] = f"{name}=={item['metadata']['version']} --hash=sha256:{digest}"
    head = f"# Written by `python3 -m dev lock {requirements.stem}`, for Python {IMAGE_PYTHON} on Linux x86_64."
    lock.write_text("\n".join([head, *(pins[name] for name in sorted(pins))]) + "\n", encoding="utf-8")
    return len(pins)
