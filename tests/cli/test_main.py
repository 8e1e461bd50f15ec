"""Usage, start-up, completion: what needs no cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial import __version__
from seatrial.cli.completion import SHELLS, script
from seatrial.cli.errors import EXIT_CODES
from seatrial.cli.main import ACTIONS, ALIASES, main, parser, program
from seatrial.core.commands import Action

COMMANDS = [
    "get",
    "list",
    "why",
    "history",
    *ACTIONS,
    *ALIASES,
    "status",
    "lint",
    "presets",
    "golden",
    "run",
    "compare",
    "version",
    "completion",
]


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"seatrial {__version__}\n"


@pytest.mark.parametrize("argv", [["version"], ["completion", "bash"], ["--help"]])
def test_what_is_typed_often_imports_nothing_slow(argv: list[str]) -> None:
    code = f"import sys; from seatrial.cli.main import main; sys.stdout = sys.stderr; main({argv}); sys.stdout = sys.__stdout__; print(*sys.modules)"
    loaded = set(python(code).split())
    assert not loaded & {"kubernetes", "pydantic", "rich", "yaml", "kopf", "aiohttp", "urllib3"}


def test_looking_at_the_cluster_draws_nothing_with_rich_unless_it_draws() -> None:
    code = "import sys, seatrial.cli.access, seatrial.cli.lines, seatrial.cli.asking, seatrial.cli.watching; print(*sys.modules)"
    assert not set(python(code).split()) & {"kubernetes", "pydantic", "rich"}


def test_every_action_of_the_annotation_is_a_command() -> None:
    assert {*ACTIONS, "skip-checks"} == set(Action), "promote --skip-checks is the one that is an option"


def test_every_alias_stands_for_an_action() -> None:
    assert {action for action, _ in ALIASES.values()} <= set(Action)
    assert not set(ALIASES) & set(Action)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: seatrial " + command)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "seatrial: the following arguments are required: COMMAND. See seatrial --help"),
        (["why"], "seatrial why: the following arguments are required: NAME. See seatrial why --help"),
        (
            ["status", "x", "--timeout", "soon"],
            "seatrial status: argument --timeout: 'soon' is not a time such as 90s, 10m or 1h30m. See seatrial status --help",
        ),
        (["get", "x", "-A"], "seatrial: a NAME and -A exclude each other: a name is looked up in one namespace (-n)"),
        (
            ["list", "-w", "-o", "json"],
            "seatrial: -w and -o json exclude each other: kubectl get md -w -o json does that",
        ),
    ],
)
def test_wrong_usage_is_one_line(argv: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert capsys.readouterr().err == sentence + "\n"


def test_a_plug_in_of_kubectl_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert program("/usr/local/bin/seatrial") == "seatrial"
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/kubectl-seatrial", "why"])
    assert main() == 2
    assert capsys.readouterr().err.startswith("kubectl seatrial why: the following arguments are required")


def test_exit_codes_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["--help"], ["status", "--help"]):
        assert main(argv) == 0
        assert "3    not there yet" in capsys.readouterr().out


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    line = f"{sys.executable} -m seatrial.cli.main completion zsh | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# --- completion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_can_read_its_script(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    file = tmp_path / "script"
    file.write_text(script(shell, parser("seatrial")))
    done = subprocess.run([shell, "-n", str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    """A `seatrial` that answers `list -o name`, and tells what it was asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    fake = folder / "seatrial"
    fake.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\necho fraud\necho iris\n')
    fake.chmod(0o755)
    return folder


def completed(line: str, tmp_path: Path, folder: Path) -> list[str]:
    """What bash offers at the end of a line."""
    file = tmp_path / "script"
    file.write_text(script("bash", parser("seatrial")))
    words = line.split(" ")
    array = " ".join(f"'{word}'" for word in words)
    code = f"source {file}; COMP_WORDS=({array}); COMP_CWORD={len(words) - 1}; _seatrial; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_options_values_and_names(tmp_path: Path, bin_folder: Path) -> None:
    assert completed("seatrial p", tmp_path, bin_folder) == ["promote", "pause", "presets"]
    assert "--reason" in completed("seatrial pause fraud --r", tmp_path, bin_folder)
    assert completed("seatrial promote fraud --sk", tmp_path, bin_folder) == ["--skip-checks"]
    assert completed("seatrial abort fraud --sk", tmp_path, bin_folder) == []
    assert completed("seatrial status x --for s", tmp_path, bin_folder) == ["stable"]
    assert completed("seatrial list -o ", tmp_path, bin_folder) == ["json", "yaml", "wide", "name"]
    assert completed("seatrial completion ", tmp_path, bin_folder) == ["bash", "zsh", "fish"]
    assert completed("seatrial golden ", tmp_path, bin_folder) == ["record"]
    assert "--model-version" in completed("seatrial golden record --model", tmp_path, bin_folder)
    assert completed("seatrial why f", tmp_path, bin_folder) == ["fraud"]


def test_names_are_looked_up_where_the_line_says(tmp_path: Path, bin_folder: Path) -> None:
    assert completed("seatrial -n payments why ", tmp_path, bin_folder) == ["fraud", "iris"]
    assert (tmp_path / "asked").read_text().split() == ["list", "-o", "name", "-n", "payments"]


def test_the_manual_speaks_of_every_command_and_exit_code() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    assert [command for command in COMMANDS if f"`seatrial {command}" not in manual] == []
    codes = {line.split()[0] for line in EXIT_CODES.splitlines()[1:]}
    assert [code for code in codes if f"| {code} |" not in manual] == []


def test_the_manual_shows_the_picture_as_it_is() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    picture = (Path(__file__).parent / "pictures" / "canary.txt").read_text().split("\n\n", 1)[1]
    shown = manual.split("```\n")[3]
    assert picture.startswith(shown)
