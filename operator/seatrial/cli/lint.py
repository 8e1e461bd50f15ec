"""`seatrial lint`: what is wrong with files, said before they reach a cluster."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, TextIO

import yaml

from seatrial.api import crd, rules
from seatrial.api.lint import Finding, Severity, is_model, is_ours
from seatrial.api.lint import lint as lint_document
from seatrial.api.spec import Check, CheckPreset, MetricSource, ModelDeploymentSpec, Runtime, default_checks
from seatrial.cli.errors import CliError
from seatrial.cli.numbers import Numbers
from seatrial.cli.power import power
from seatrial.core import promql
from seatrial.core.checks import eligible
from seatrial.core.house import Heard, Policy, merged, parse
from seatrial.metrics import presets

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


def lint(paths: list[str], policies: list[str], *, as_json: bool, out: TextIO, known: Numbers | None = None) -> int:
    """Check files (`-` is standard input) and print what is found. `policies` are files with house rules that are to hold
    for every model in them.

    Returns 0 where nothing would be refused (there may be warnings), 1 where something would be, and 2
    where a file cannot be read or holds nothing of Seatrial. With numbers of traffic it says how long each plan takes.
    """
    places: list[_Place] = []
    notes: list[str] = []
    code = OK
    house, unread = _house(policies)
    notes += unread
    if unread:
        code = UNREADABLE
    checked: Counter[str] = Counter()
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
                checked["ModelDeployment" if is_model(document) else "policy"] += 1
                here = list(_check(name, node, document, house))
                if (
                    known is not None
                    and is_model(document)
                    and all(place.finding.severity is Severity.WARNING for place in here)
                ):
                    for said in power(document, known):
                        if isinstance(said, str):
                            notes.append(f"{name}: {said}")
                        else:
                            here.append(_Place(name, _line(node, said.path), _title(document), said))
                places += sorted(here, key=lambda place: place.line)
            else:
                notes.append(f"{name}:{node.start_mark.line + 1}: skipped {_title(document)}")
        if not ours:
            notes.append(f"{name}: holds no ModelDeployment and no policy")
            code = UNREADABLE
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


def _house(paths: list[str]) -> tuple[list[Heard], list[str]]:
    """The policies of files, and what cannot be read of them."""
    found, problems = [], []
    for path in paths:
        try:
            documents = [document for _, document in _read(path) if is_ours(document) and not is_model(document)]
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            problems.append(f"{path}: cannot be read: {_reason(error)}")
            continue
        if not documents:
            problems.append(f"{path}: holds no policy")
        for document in documents:
            errors = [found for found in lint_document(document) if found.severity is Severity.ERROR]
            if errors:
                problems.append(f"{path}: {_title(document)} is not valid: {errors[0].path}: {errors[0].message}")
            else:
                found.append(parse(document))
    return found, problems


def _ruled(document: dict[str, Any], house: list[Heard]) -> Iterator[Finding]:
    """What the operator would say of a model and the house rules. Which namespaces they choose is not known here."""
    metadata = document["metadata"]
    namespace = metadata.get("namespace")
    near = [heard for heard in house if None in (namespace, heard.namespace) or namespace == heard.namespace]
    policies = [Policy(heard.ref, heard.spec) for heard in near if heard.spec is not None]
    spec = ModelDeploymentSpec.model_validate(crd.with_defaults(document)["spec"])
    named = spec.strategy_from is not None or spec.analysis.use
    if named and not house:
        message = "this names house rules, which are not in this file: say --policy FILE to hold it against them"
        yield Finding("spec.analysis.use" if spec.analysis.use else "spec.strategyFrom", message, Severity.WARNING)
        return
    of = f"{namespace or 'default'}/{metadata['name']}"
    yield from (Finding("", sentence) for sentence in merged(spec, of, policies).conflicts)


def _check(file: str, node: yaml.Node, document: dict[str, Any], house: list[Heard]) -> Iterator[_Place]:
    try:
        json.dumps(document, allow_nan=False)
    except (TypeError, ValueError) as error:
        yield _Place(file, node.start_mark.line + 1, _title(document), Finding("", f"this is not JSON: {error}"))
        return
    found = [*lint_document(document), *_queries(document), *_uncounted(document)]
    if is_model(document) and all(finding.severity is not Severity.ERROR for finding in found):
        found += _ruled(document, house)
    for finding in found:
        yield _Place(file, _line(node, finding.path), _title(document), finding)


def _queries(document: dict[str, Any]) -> Iterator[Finding]:
    """What the operator's judge of PromQL would say; a query without any place holder has its own finding already."""
    metadata = document.get("metadata")
    namespace = metadata.get("namespace", "default") if isinstance(metadata, dict) else "default"
    for path, check in (
        *rules.instances(document, "spec.analysis.checks[]"),
        *rules.instances(document, "spec.checks[]"),
    ):
        if not isinstance(check, dict):
            continue
        query = check.get("query")
        for kind, field in product(("share", "mean"), ("of", "per")):
            counted = check.get(kind)
            text = counted.get(field) if isinstance(counted, dict) else None
            if isinstance(text, str) and isinstance(problem := promql.named(text), str):
                yield Finding(f"{path}.{kind}.{field}", problem)
        if isinstance(query, str) and ("$selector" in query or "$namespace" in query):
            asked = Check.model_construct(name=str(check.get("name", "")), query=query)
            for problem in promql.problems(asked, str(namespace)):
                yield Finding(f"{path}.query", problem)
    for path, drift in (
        *rules.instances(document, "spec.analysis.checks[].drift"),
        *rules.instances(document, "spec.analysis.live[].drift"),
    ):
        for field in ("histogram", "classes"):
            text = drift.get(field) if isinstance(drift, dict) else None
            if isinstance(text, str) and isinstance(problem := promql.named(text), str):
                yield Finding(f"{path}.{field}", problem)


def _uncounted(document: dict[str, Any]) -> Iterator[Finding]:
    """Presets of checks that a trial would not begin with, since nobody counts what they ask for.

    Where a gateway may count it, only Prometheus tells. That Custom has no metrics is said by a rule, but for tokens.
    """
    spec = document.get("spec")
    if not isinstance(spec, dict):
        return
    name, analysis, traffic = spec.get("runtime", "Custom"), spec.get("analysis") or {}, spec.get("traffic") or {}
    if name not in set(Runtime) or not isinstance(analysis, dict) or not isinstance(traffic, dict):
        return
    runtime, gateway = Runtime(name), "replicaRatio" not in traffic
    asked = [
        (path, raw.get("name"), raw["preset"], raw.get("from"))
        for path, raw in rules.instances(document, "spec.analysis.checks[]")
        if isinstance(raw, dict) and raw.get("preset") in set(CheckPreset) and raw.get("from") in (None, *MetricSource)
    ]
    if "checks" not in analysis and not analysis.get("none"):
        asked = [("spec.analysis", check.name, check.preset, None) for check in default_checks()]
    for path, called, preset, source in asked:
        check = Check.model_construct(
            name=str(called), preset=CheckPreset(preset), source=source and MetricSource(source)
        )
        if runtime is Runtime.CUSTOM and check.preset not in eligible.OF_TOKENS:
            continue
        if not eligible.readable(check, runtime, presets.load(), gateway=gateway):
            why = eligible.lacking(check, runtime, presets.load())
            yield Finding(path, f"check {called}: {eligible.nothing(check, runtime, why, gateway=gateway)}")


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


def _summary(checked: Mapping[str, int], errors: int, warnings: int) -> str:
    def count(number: int, thing: str) -> str:
        several = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
        return f"{number} {thing if number == 1 else several}"

    seen = " and ".join(count(number, thing) for thing, number in sorted(checked.items())) or "0 objects"
    return f"{seen} checked: {count(errors, 'error')}, {count(warnings, 'warning')}"


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
