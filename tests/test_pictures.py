"""The pictures in `docs/pictures` show what the planner does today."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from docs.pictures import FOLDER, PICTURES, draw


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_a_picture_is_what_make_generate_draws(name: str) -> None:
    play, title = PICTURES[name]
    film = play()
    assert film.world.lost == {}, "the pages say that nothing is lost"
    assert (FOLDER / f"{name}.svg").read_text(encoding="utf-8") == draw(film, title), "run `make generate`"


def test_every_picture_is_drawn_by_the_script_and_shown_on_a_page() -> None:
    drawn = {f"{name}.svg" for name in PICTURES}
    assert {path.name for path in FOLDER.iterdir()} == drawn
    pages = "".join(page.read_text(encoding="utf-8") for page in FOLDER.parent.glob("*.md"))
    assert [name for name in sorted(drawn) if f"](pictures/{name})" not in pages] == []


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_a_picture_can_be_read_aloud(name: str) -> None:
    root = ET.fromstring((FOLDER / f"{name}.svg").read_text(encoding="utf-8"))
    spoken = [root.findtext(f"{{http://www.w3.org/2000/svg}}{tag}") for tag in ("title", "desc")]
    assert all(spoken)
