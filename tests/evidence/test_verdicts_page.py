"""The page of verdicts shows what the benchmark measured."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

from benchmarks.verdicts import page


def measured() -> page.Measured:
    have: page.Measured = json.loads(page.NUMBERS.read_text(encoding="utf-8"))
    return have


def test_the_page_shows_what_was_measured() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.with_tables(text, measured()) == text, "run `make benchmark-verdicts ARGS=--docs`"


def test_so_do_the_charts_which_can_be_read_aloud() -> None:
    drawn = page.charts(measured())
    assert {path.name for path in page.FOLDER.iterdir()} == {*drawn, page.NUMBERS.name}
    for name, text in drawn.items():
        assert (page.FOLDER / name).read_text(encoding="utf-8") == text
        root = ET.fromstring(text)
        assert all(root.findtext(f"{{http://www.w3.org/2000/svg}}{tag}") for tag in ("title", "desc"))
        assert f"](measured/{name})" in page.PAGE.read_text(encoding="utf-8")


def test_another_number_is_another_page() -> None:
    have = measured()
    have["hour"][0]["wrong"]["hits"] += 7
    assert page.with_tables(page.PAGE.read_text(encoding="utf-8"), have) != page.PAGE.read_text(encoding="utf-8")


def test_some_experiments_alone_can_be_shown() -> None:
    have = {**measured(), "hour": [], "trials": [], "late": [], "losses": []}
    assert "### Scores" in page.tables(have)
    assert "### Whole trials" not in page.tables(have)
