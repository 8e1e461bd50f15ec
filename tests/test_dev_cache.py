"""The build cache: made once, never half, repaired by running again."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from dev import cache
from dev.cache import Recipe, obtain
from dev.errors import DevError
from dev.progress import run_logged

RECIPE = Recipe("thing", "1.0", ("flag",), usual_seconds=1)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "cache"))


class Build:
    """A build that counts how often it ran."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, folder: Path, _log: Path) -> None:
        self.runs += 1
        (folder / "bin").mkdir()
        (folder / "bin" / "thing").write_text("content")


def test_an_entry_is_built_once() -> None:
    """The second caller gets the first one's result."""
    build = Build()
    first, second = obtain(RECIPE, build), obtain(RECIPE, build)
    assert first == second
    assert (first / "bin" / "thing").read_text() == "content"
    assert build.runs == 1


@pytest.mark.parametrize(
    "other",
    [
        Recipe("thing", "1.1", ("flag",)),
        Recipe("thing", "1.0", ("other",)),
        Recipe("thing", "1.0", ("fl", "ag")),
        Recipe("thing", "1.0", ()),
    ],
)
def test_another_recipe_is_another_entry(other: Recipe) -> None:
    """Version and every input decide the key; so does where one input ends and the next begins."""
    assert other.key != RECIPE.key


def test_the_usual_time_is_no_part_of_the_key() -> None:
    """A better estimate must not build anything again."""
    assert Recipe("thing", "1.0", ("flag",), usual_seconds=99).key == RECIPE.key


@pytest.mark.parametrize("damage", ["truncated", "changed", "removed", "no stamp", "broken stamp"])
def test_a_damaged_entry_is_built_again(damage: str) -> None:
    """Whatever happened to the files, running again gives the right ones."""
    build = Build()
    entry = obtain(RECIPE, build)
    file, stamp = entry / "bin" / "thing", entry / cache.STAMP
    match damage:
        case "truncated":
            os.truncate(file, 0)
        case "changed":
            file.write_text("CONTENT")
        case "removed":
            file.unlink()
        case "no stamp":
            stamp.unlink()
        case "broken stamp":
            stamp.write_text('{"files": 7}')
    assert (obtain(RECIPE, build) / "bin" / "thing").read_text() == "content"
    assert build.runs == 2


def test_a_failed_build_leaves_no_entry_and_can_be_repeated() -> None:
    """Half a result is never taken for a whole one."""

    def fails(folder: Path, _log: Path) -> None:
        (folder / "half").write_text("half")
        raise DevError("no")

    with pytest.raises(DevError):
        obtain(RECIPE, fails)
    entry = obtain(RECIPE, Build())
    assert sorted(path.name for path in entry.iterdir()) == [cache.STAMP, "bin"]
    assert list((cache.cache_dir() / "tmp").iterdir()) == []


def test_what_a_killed_build_left_is_removed() -> None:
    """A killed process cannot clean up; the next build of the same thing does."""
    rest = cache.cache_dir() / "tmp" / f"{RECIPE.key}.12345"
    rest.mkdir(parents=True)
    (rest / "half").write_text("half")
    obtain(RECIPE, Build())
    assert not rest.exists()


def test_a_build_that_makes_nothing_is_a_failure() -> None:
    """An empty entry would be believed for ever."""
    with pytest.raises(DevError, match="made no file"):
        obtain(RECIPE, lambda _folder, _log: None)


def test_a_failure_shows_the_last_lines_and_the_log() -> None:
    """The reason is on the screen, the rest is where the message says."""

    def fails(_folder: Path, log: Path) -> None:
        run_logged(["sh", "-c", "echo the reason; exit 3"], log)

    with pytest.raises(DevError, match=r"exit code 3.*\n.*the reason") as caught:
        obtain(RECIPE, fails)
    log = Path(str(caught.value).rsplit(" ", 1)[1])
    assert "the reason" in log.read_text()


def _slow_build(folder: Path, _log: Path) -> None:
    time.sleep(0.3)
    (folder / str(os.getpid())).write_text("x")


def _obtain_slowly(_number: int) -> str:
    return next(path.name for path in obtain(RECIPE, _slow_build).iterdir() if path.name != cache.STAMP)


def test_two_processes_build_one_thing_once() -> None:
    """The second waits for the first and uses its result."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        builders = pool.map(_obtain_slowly, range(2), chunksize=1)
    assert len(set(builders)) == 1


def test_replaced_entries_are_told_from_those_in_use() -> None:
    """Of a known name the key decides; of any other, the newest entry."""
    old = obtain(Recipe("thing", "0.9"), Build())
    obtain(RECIPE, Build())
    unknown_old = obtain(Recipe("other", "1"), Build())
    os.utime(unknown_old, (1, 1))
    obtain(Recipe("other", "2"), Build())
    stale = {entry.path for entry in cache.entries({"thing": RECIPE.key}) if entry.stale}
    assert stale == {old, unknown_old}


def test_read_only_folders_can_be_removed(tmp_path: Path) -> None:
    """Go's module cache is read-only, and a build may copy that."""
    folder = tmp_path / "tree" / "inner"
    folder.mkdir(parents=True)
    (folder / "file").write_text("x")
    folder.chmod(0o555)
    cache.remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
