"""`seatrial lint`: what is wrong with files, said before they reach a cluster."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import yaml

from seatrial.api import rules
from seatrial.api.lint import Finding, Severity, is_ours
from seatrial.api.lint import lint as lint_document
from seatrial.api.spec import Check
from seatrial.cli.errors import CliError
from seatrial.cli.numbers import Numbers
from seatrial.cli.power import power
from seatrial.core import promql

OK = 0
FOUND = 1
UNREADABLE = 2


class _Loader(yaml.SafeLoader):
    """Reads YAML as kubectl does: dates stay text, and a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen and key_node.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    "while reading a mapping", node.start_mark, f"the key {key} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class _Place:
    """A finding, with the file and the line where it can be corrected."""

    file: str
    line: int
    object: str
    finding: Finding


def lint(paths: list[str], *, as_json: bool, out: TextIO, known: Numbers | None = None) -> int:
    """Check files (`-` is standard input) and print what is found.

    Returns 0 where nothing would be refused (there may be warnings), 1 where something would be, and 2
    where a file cannot be read or holds no ModelDeployment. With numbers of traffic it says how long each plan takes.
    """
    places: list[_Place] = []
    notes: list[str] = []
    code = OK
    checked = 0
    for path in paths:
        name = "standard input" if path == "-" else path
        try:
            documents = _read(path)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            notes.append(f"{name}: cannot be read: {_reason(error)}")
            code = UNREADABLE
            continue
        ours = 0
        for node, document in documents:
            if is_ours(document):
                ours += 1
                here = list(_check(name, node, document))
                if known is not None and all(place.finding.severity is Severity.WARNING for place in here):
                    for said in power(document, known):
                        if isinstance(said, str):
                            notes.append(f"{name}: {said}")
                        else:
                            here.append(_Place(name, _line(node, said.path), _title(document), said))
                places += sorted(here, key=lambda place: place.line)
            else:
                notes.append(f"{name}:{node.start_mark.line + 1}: skipped {_title(document)}")
        if not ours:
            notes.append(f"{name}: holds no ModelDeployment")
            code = UNREADABLE
        checked += ours
    errors = sum(place.finding.severity is Severity.ERROR for place in places)
    _print(places, notes, _summary(checked, errors, len(places) - errors), as_json=as_json, out=out)
    return code or (FOUND if errors else OK)


def _read(path: str) -> list[tuple[yaml.Node, Any]]:
    """The documents of a file, each with its nodes, which know their lines. Empty ones are left out."""
    text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    loader = _Loader(text)
    documents = []
    try:
        while loader.check_node():
            node = loader.get_node()
            assert node is not None
            document = loader.construct_document(node)
            if document is not None:
                documents.append((node, document))
    finally:
        loader.dispose()
    return documents


def documents(path: str) -> list[Any]:
    """What a file holds, or why it cannot be read."""
    try:
        return [document for _, document in _read(path)]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        name = "standard input" if path == "-" else path
        raise CliError(f"{name}: cannot be read: {_reason(error)}", UNREADABLE) from None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return " ".join(str(error).split())


def _check(file: str, node: yaml.Node, document: dict[str, Any]) -> Iterator[_Place]:
    try:
        json.dumps(document, allow_nan=False)
    except (TypeError, ValueError) as error:
        yield _Place(file, node.start_mark.line + 1, _title(document), Finding("", f"this is not JSON: {error}"))
        return
    for finding in (*lint_document(document), *_queries(document)):
        yield _Place(file, _line(node, finding.path), _title(document), finding)


def _queries(document: dict[str, Any]) -> Iterator[Finding]:
    """What the operator's judge of PromQL would say; a query without any place holder has its own finding already."""
    metadata = document.get("metadata")
    namespace = metadata.get("namespace", "default") if isinstance(metadata, dict) else "default"
    for path, check in rules.instances(document, "spec.analysis.checks[]"):
        if not isinstance(check, dict):
            continue
        query, share = check.get("query"), check.get("share")
        selectors = [(field, share.get(field)) for field in ("of", "per")] if isinstance(share, dict) else []
        for field, text in selectors:
            if isinstance(text, str) and isinstance(problem := promql.named(text), str):
                yield Finding(f"{path}.share.{field}", problem)
        if isinstance(query, str) and ("$selector" in query or "$namespace" in query):
            asked = Check.model_construct(name=str(check.get("name", "")), query=query)
            for problem in promql.problems(asked, str(namespace)):
                yield Finding(f"{path}.query", problem)


def _line(node: yaml.Node, path: str) -> int:
    """The line of a field, or of the nearest thing around it that is there."""
    line = node.start_mark.line
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        if name and isinstance(node, yaml.MappingNode):
            inside = [(key, value) for key, value in node.value if key.value == name]
            if not inside:
                break
            line, node = inside[0][0].start_mark.line, inside[0][1]
        elif index and isinstance(node, yaml.SequenceNode) and int(index) < len(node.value):
            node = node.value[int(index)]
            line = node.start_mark.line
        else:
            break
    return line + 1


def _title(document: Any) -> str:
    """`ModelDeployment payments/fraud`."""
    if not isinstance(document, dict):
        return "something that is no object"
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    where = "/".join(str(metadata[key]) for key in ("namespace", "name") if key in metadata)
    return f"{document.get('kind', 'an object without a kind')} {where}".strip()


def _summary(checked: int, errors: int, warnings: int) -> str:
    def count(number: int, thing: str) -> str:
        return f"{number} {thing}" if number == 1 else f"{number} {thing}s"

    return f"{count(checked, 'ModelDeployment')} checked: {count(errors, 'error')}, {count(warnings, 'warning')}"


def _print(places: list[_Place], notes: list[str], summary: str, *, as_json: bool, out: TextIO) -> None:
    if as_json:
        findings = [
            {
                "file": place.file,
                "line": place.line,
                "object": place.object,
                "path": place.finding.path,
                "severity": place.finding.severity.value,
                "message": place.finding.message,
            }
            for place in places
        ]
        json.dump({"findings": findings, "notes": notes, "summary": summary}, out, indent=2, ensure_ascii=False)
        out.write("\n")
        return
    for place in places:
        finding = place.finding
        blamed = f"{finding.path}: " if finding.path else ""
        out.write(f"{place.file}:{place.line}: {finding.severity.value}: {blamed}{finding.message}\n")
    for note in notes:
        out.write(f"{note}\n")
    out.write(f"{summary}\n")
