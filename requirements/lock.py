"""Compile the locks from pyproject.toml: `python3 requirements/lock.py [--upgrade]`.

Everything is resolved once, together; each lock is then a part of that answer, so that versions agree everywhere.
Without `--upgrade`, what is locked stays as it is.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from install import LOCKS, ROOT, environment, interpreter, uv

TARGETS = {"runtime.lock": (), "dev.lock": ("dev",), "demo.lock": ("demo",)}
# Hashes for every file; no word of where the files come from.
FORMAT = ("--universal", "--python-version=3.11", "--generate-hashes", "--no-header", "--no-annotate", "--quiet")


def main() -> int:
    """Write the three locks."""
    with tempfile.TemporaryDirectory() as folder:
        everything = Path(folder) / "everything.lock"
        if "--upgrade" not in sys.argv[1:]:
            everything.write_text("".join((LOCKS / name).read_text() for name in ("dev.lock", "demo.lock")))
        _compile(everything, ("dev", "demo"))
        for name, groups in TARGETS.items():
            (LOCKS / name).unlink(missing_ok=True)
            _compile(LOCKS / name, groups, f"--constraints={everything}")
    return 0


def _compile(target: Path, groups: tuple[str, ...], *options: str) -> None:
    chosen = [f"--group={group}" for group in groups]
    command = [uv(interpreter()), "pip", "compile", *FORMAT, *options, *chosen, "pyproject.toml", "-o", str(target)]
    subprocess.run(command, check=True, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
