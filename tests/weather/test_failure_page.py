"""The page that says what happens if … names tests; each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_proof_exists() -> None:
    page = (ROOT / "docs/failure.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"def (test_\w+)\(", source))
    assert named
    assert named <= defined, f"no such test: {sorted(named - defined)}"


def test_every_answer_has_a_proof() -> None:
    page = (ROOT / "docs/failure.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|") and not line.startswith(("|---", "| What"))]
    assert rows
    assert not [row for row in rows if not re.search(r"`test_\w+` \|$", row)]
