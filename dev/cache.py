"""The user cache: everything slow is made once, and survives being interrupted.

An entry is a folder ``<cache>/entries/<name>-<version>-<hash of its recipe>``.
It is built under a temporary name, given a stamp that lists its files, and
renamed, so that an entry which exists is complete. Using an entry compares it
with its stamp: a missing, truncated or changed file has it built again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev import progress
from dev.errors import DevError

STAMP = ".stamp.json"


def cache_dir() -> Path:
    """Where everything is kept: ``$SEATRIAL_CACHE``, else ``$XDG_CACHE_HOME/seatrial``."""
    named = os.environ.get("SEATRIAL_CACHE")
    if named:
        return Path(named).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().resolve() / "seatrial"


@dataclass(frozen=True)
class Recipe:
    """What decides whether a cached result may be used again."""

    name: str
    version: str
    inputs: tuple[str, ...] = ()
    """Everything else the result depends on: flags, file contents, other keys."""
    usual_seconds: float = 10
    """How long it takes on two cores, shown to whoever waits."""

    @property
    def key(self) -> str:
        """The entry's folder name: stable for one recipe, new when any input changes."""
        digest = hashlib.sha256()
        for part in (self.name, self.version, *self.inputs):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part.encode())
        safe = "".join(c if c.isalnum() or c in ".-_" else "_" for c in f"{self.name}-{self.version}")
        return f"{safe}-{digest.hexdigest()[:12]}"


@contextmanager
def lock(name: str, waiting: str | None = None, directory: Path | None = None) -> Iterator[None]:
    """Hold an exclusive lock that the kernel drops with the process.

    `waiting` is printed once if somebody else holds it.
    """
    folder = directory or cache_dir() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{name}.lock", "a", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                progress.say(waiting)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def log_path(name: str) -> Path:
    """The log file of a build or a start, emptied by whoever writes it."""
    folder = cache_dir() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.log"


def obtain(recipe: Recipe, build: Callable[[Path, Path], None]) -> Path:
    """The folder of a finished entry, built now if it is missing or damaged.

    `build(folder, log)` fills an empty folder and writes what it runs to the
    log. Two processes that want the same entry build it once.
    """
    entry = cache_dir() / "entries" / recipe.key
    if intact(entry):
        return entry
    with lock(recipe.key, f"{recipe.name} {recipe.version}: another process is making it, waiting"):
        if intact(entry):
            return entry
        _clear_remains(recipe, entry)
        return _build(recipe, entry, build)


def _clear_remains(recipe: Recipe, entry: Path) -> None:
    """Remove what an interrupted or damaged build left; the caller holds the lock."""
    if entry.exists():
        progress.say(f"{recipe.name} {recipe.version}: the cached copy is damaged, making it again")
        remove_tree(entry)
    for rest in (cache_dir() / "tmp").glob(f"{recipe.key}.*"):
        remove_tree(rest)


def _build(recipe: Recipe, entry: Path, build: Callable[[Path, Path], None]) -> Path:
    work = cache_dir() / "tmp" / f"{recipe.key}.{os.getpid()}"
    work.mkdir(parents=True)
    log = log_path(recipe.key)
    log.write_text("", encoding="utf-8")
    began = time.monotonic()
    try:
        with progress.step(f"{recipe.name} {recipe.version}", recipe.usual_seconds):
            build(work, log)
    except BaseException:
        remove_tree(work)
        raise
    seconds = time.monotonic() - began
    _write_stamp(recipe, work, seconds)
    entry.parent.mkdir(parents=True, exist_ok=True)
    work.rename(entry)
    return entry


def _write_stamp(recipe: Recipe, folder: Path, seconds: float) -> None:
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            info = path.stat()
            files[str(path.relative_to(folder))] = [info.st_size, info.st_mtime_ns]
    if not files:
        raise DevError(f"{recipe.name} {recipe.version}: the build made no file; see {log_path(recipe.key)}")
    stamp = {"name": recipe.name, "version": recipe.version, "seconds": round(seconds, 1), "files": files}
    # The stamp has to reach the disk after the files: a power cut must not
    # leave a stamp that vouches for empty files.
    os.sync()
    (folder / STAMP).write_text(json.dumps(stamp), encoding="utf-8")


@dataclass(frozen=True)
class Entry:
    """One entry, for whoever tidies up."""

    path: Path
    bytes: int
    stale: bool
    """Whether a newer entry of the same name has taken its place."""


def entries(current: Mapping[str, str]) -> list[Entry]:
    """All entries. `current` has the key in use for names that are known; of others the newest counts."""
    folders: dict[str, list[Path]] = {}
    for folder in sorted((cache_dir() / "entries").glob("*")):
        try:
            name = str(json.loads((folder / STAMP).read_text(encoding="utf-8"))["name"])
        except (OSError, ValueError, KeyError, TypeError):
            name = folder.name
        folders.setdefault(name, []).append(folder)
    found = []
    for name, several in folders.items():
        newest = max(several, key=lambda folder: folder.stat().st_mtime).name
        for folder in several:
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            found.append(Entry(folder, size, folder.name != current.get(name, newest)))
    return sorted(found, key=lambda entry: entry.path.name)


def intact(entry: Path) -> bool:
    """Whether the entry has every file of its stamp, with size and time unchanged."""
    try:
        files = json.loads((entry / STAMP).read_text(encoding="utf-8"))["files"]
        for name, (size, mtime_ns) in files.items():
            info = (entry / name).stat()
            if info.st_size != size or info.st_mtime_ns != mtime_ns:
                return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return True


def remove_tree(path: Path) -> None:
    """Remove a file or folder, also one with read-only folders such as Go's."""

    def make_writable(function: Callable[..., object], name: str, _error: object) -> None:
        parent = os.path.dirname(name)
        os.chmod(parent, 0o755)
        if os.path.isdir(name) and not os.path.islink(name):
            os.chmod(name, 0o755)
        function(name)

    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path, onerror=make_writable)
