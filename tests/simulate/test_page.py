"""What `docs/simulate.md` prints and shows is what the command on it prints and draws today.

`UPDATE_PAGE=1 pytest tests/simulate/test_page.py` writes both anew.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from seatrial.cli.errors import OK
from seatrial.cli.main import main

pytest.importorskip("numpy", reason="make test installs numpy")

pytestmark = pytest.mark.timeout(300)

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, PICTURE = DOCS / "simulate.md", DOCS / "simulate.svg"
PRINTED = re.compile(r"(<!-- printed: begin -->\n```\n)(.*?)(```\n<!-- printed: end -->)", re.DOTALL)


def test_the_page_shows_what_the_command_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    _, *command = shlex.split(next(line for line in page.splitlines() if line.startswith("seatrial simulate")))
    drawn = tmp_path / "fraud.svg"
    command[command.index("--plot") + 1] = str(drawn)
    monkeypatch.chdir(DOCS.parent)
    assert main(command) == OK
    said = capsys.readouterr().out
    if os.environ.get("UPDATE_PAGE"):
        PAGE.write_text(PRINTED.sub(lambda found: found[1] + said + found[3], page), encoding="utf-8")
        PICTURE.write_text(drawn.read_text(encoding="utf-8"), encoding="utf-8")
    found = PRINTED.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    assert found[2] == said
    assert PICTURE.read_text(encoding="utf-8") == drawn.read_text(encoding="utf-8")
    assert "](simulate.svg)" in page
