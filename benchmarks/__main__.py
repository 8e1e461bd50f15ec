"""All benchmarks, one after another: `python -m benchmarks [NAME…]`. What they print goes to build-out/benchmarks too."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

NAMES = ("plan", "verdicts", "means", "compare", "idle", "rollback")
OUT = Path(__file__).resolve().parent.parent / "build-out" / "benchmarks"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(NAMES)} (default: all)")
    names = parser.parse_args().names or NAMES
    OUT.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in names:
        print(f"\n━━ {name}\n", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"], stdout=subprocess.PIPE, text=True, check=False
        )
        print(done.stdout, flush=True)
        (OUT / f"{name}.txt").write_text(done.stdout, encoding="utf-8")
        if done.returncode != 0:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
