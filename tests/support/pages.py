"""What the pages of `docs/` show, as tests read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]


def checks_on(page: str) -> dict[str, dict[str, Any]]:
    """Every check that a page shows, by name: as part of `analysis.checks`, or alone as a list of checks."""
    return {check["name"]: check for block in _blocks(page) for check in _checks(block)}


def _blocks(page: str) -> Iterator[Any]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for block in re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield yaml.safe_load(block)


def _checks(block: Any) -> list[dict[str, Any]]:
    found = block.get("analysis", {}).get("checks", []) if isinstance(block, dict) else block
    return [one for one in found if isinstance(one, dict) and "name" in one]
