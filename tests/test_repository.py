"""What holds for the repository as a whole."""

from __future__ import annotations

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from seatrial.api import generate

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("[!.]*/*.md"), *ROOT.glob("docs/**/*.md")})
COMMANDS = ("make demo", "make test", "helm install", "kubectl apply -f examples/quickstart.yaml")


@cache
def committed() -> list[Path]:
    """Every file that is, or is about to be, in the repository."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def lines_with(pattern: str) -> list[str]:
    found = []
    for path in committed():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    return found


def test_operator_is_no_package_because_it_would_shadow_the_standard_librarys_operator() -> None:
    """With operator/__init__.py, `import collections` fails in every Python started from here."""
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_no_file_names_the_host_of_a_package_registry() -> None:
    """pip, uv and go use the registry that the machine is configured for; a name here would send people past it."""
    # Written in pieces, or this file would be found.
    hosts = ["py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "proxy.go" + "lang.org", "sum.go" + "lang.org"]
    assert lines_with("|".join(map(re.escape, hosts))) == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    places = ["/wo" + "rk/", "/ro" + r"ot/\w", "/ho" + r"me/\w", "/Us" + r"ers/\w", "/opt/" + "wheels"]
    assert lines_with("|".join(rf"(?<![\w.}}$]){place}" for place in places)) == []


def test_nothing_is_left_to_do_later_in_a_comment() -> None:
    assert lines_with(r"\b(" + "TO" + "DO|FIX" + r"ME|XX" + r"X)\b") == []


def test_the_licence_is_apache_2() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert pyproject()["project"]["license"] == "Apache-2.0"


def test_the_models_client_comes_with_the_same_licence() -> None:
    assert (ROOT / "clients" / "python" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("name", sorted(generate.files()))
def test_a_generated_file_is_what_make_generate_writes(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == generate.files()[name], "run `make generate`"


# ---- Commands ---------------------------------------------------------------------------------------------------------


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_make_help_tells_of_every_target() -> None:
    told = subprocess.run(["make", "-C", ROOT, "help"], check=True, capture_output=True, text=True).stdout
    plain = re.sub(r"\x1b\[\d*m", "", told)
    assert {line.split()[0] for line in plain.splitlines() if line.startswith("  ")} == targets()


def test_every_target_is_declared_phony() -> None:
    """None of them names a file, and a file of that name must not switch one off."""
    declared = set(re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert declared == targets()


def test_every_ci_runs_what_a_person_runs() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yaml").read_text())
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert any(".ci/run" in step for step in steps)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_only_make_targets_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    code = re.findall(r"`make ([a-z][a-z-]*)", text)
    for block in re.findall(r"```.*?```", text, re.DOTALL):
        code += re.findall(r"^\s*(?:\$ )?make ([a-z][a-z-]*)", block, re.MULTILINE)
    assert set(code) - targets() == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_pages_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_the_readme_shows_the_commands_that_matter() -> None:
    for readme in ROOT.glob("README.md"):
        text = readme.read_text(encoding="utf-8")
        assert [command for command in COMMANDS if command not in text] == []


# ---- Dependencies -----------------------------------------------------------------------------------------------------


@cache
def pyproject() -> dict[str, dict[str, object]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def group(name: str) -> list[str]:
    """The requirements of a dependency group, with the groups it includes."""
    found: list[str] = []
    members = pyproject()["dependency-groups"][name]
    assert isinstance(members, list)
    for member in members:
        found += [member] if isinstance(member, str) else group(member["include-group"])
    return found


def pins(name: str) -> set[tuple[str, str, str]]:
    """(package, version, marker) of a lock."""
    text = (ROOT / "requirements" / name).read_text()
    return {
        (canonicalize_name(package), version, marker.strip())
        for package, version, marker in re.findall(r"^([\w.-]+)==(\S+)(?: ;([^\\\n]*))?", text, re.MULTILINE)
    }


@pytest.mark.parametrize(("lock", "groups"), [("runtime", []), ("dev", ["dev"]), ("demo", ["demo"])])
def test_a_lock_answers_what_the_project_asks_for(lock: str, groups: list[str]) -> None:
    asked = pyproject()["project"]["dependencies"]
    assert isinstance(asked, list)
    locked = {package: version for package, version, _ in pins(f"{lock}.lock")}
    for line in [*asked, *(line for name in groups for line in group(name))]:
        requirement = Requirement(line)
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{line} is not locked: run `make lock`"
        assert requirement.specifier.contains(version), f"{line} is locked at {version}: run `make lock`"


def test_what_is_tested_is_what_runs() -> None:
    """The image's lock is a part of the developers', version by version."""
    assert pins("runtime.lock") <= pins("dev.lock")
    assert pins("runtime.lock") <= pins("demo.lock")


@pytest.mark.parametrize("lock", ["runtime.lock", "dev.lock", "demo.lock", "uv.txt"])
def test_every_locked_file_has_its_hash_and_no_address(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    assert "://" not in text
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_image_takes_the_same_wheels_for_any_base() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "--no-index" in dockerfile
    assert "--require-hashes" in dockerfile
    assert re.search(r"^USER 65532:65532$", dockerfile, re.MULTILINE)
    assert re.search(r"^ARG BASE=", dockerfile, re.MULTILINE)
