"""Writes every file that is made from the models: `python -m seatrial.api.generate`.

The files are checked in; a test compares their bytes with what this module would write.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from seatrial.api import crd, policy_crd, reference
from seatrial.api.base import GROUP
from seatrial.api.policies import POLICY_KINDS

_NOTE = "# Generated from operator/seatrial/api by `python -m seatrial.api.generate`; edit the models instead.\n"


def files() -> dict[str, str]:
    """Every generated file: its path in the repository, and its text."""
    definitions = {"crd": crd.definition()} | {
        f"crd-{kind.lower()}": policy_crd.definition_of(kind) for kind in POLICY_KINDS
    }
    named = {f"{GROUP}_{found['spec']['names']['plural']}": found for found in definitions.values()}
    return {
        **{f"crds/{name}.yaml": _NOTE + _yaml(found) for name, found in named.items()},
        **{f"charts/seatrial/templates/{name}.yaml": _chart_template(found) for name, found in definitions.items()},
        "docs/reference.md": reference.page(),
        "docs/reference-policies.md": reference.policy_page(),
    }


def _chart_template(definition: crd.Schema) -> str:
    """The definition as the chart installs, upgrades and keeps it: deleting it would delete every object of the kind."""
    kept = {**definition["metadata"], "annotations": {"helm.sh/resource-policy": "keep"}}
    text = _yaml({**definition, "metadata": kept})
    if "{{" in text:
        raise crd.InexpressibleError("a description holds {{, which Helm would take for its own: write it differently")
    return f"{_NOTE}{{{{- if .Values.crds.install }}}}\n{text}{{{{- end }}}}\n"


class _Dumper(yaml.SafeDumper):
    """Writes equal parts out again instead of referring to them, and indents lists."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the name is PyYAML's
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - as above
        return super().increase_indent(flow, False)


def _yaml(document: Any) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def main(root: Path) -> None:
    """Write the files under the repository's root; says which of them changed."""
    for name, text in files().items():
        path = root / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[3])
