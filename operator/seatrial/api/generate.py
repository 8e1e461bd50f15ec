"""Writes every file that is made from the models: `python -m seatrial.api.generate`.

The files are checked in; a test compares their bytes with what this module would write.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from seatrial.api import crd, reference
from seatrial.api.base import GROUP, PLURAL

_NOTE = "# Generated from operator/seatrial/api by `python -m seatrial.api.generate`; edit the models instead.\n"


def files() -> dict[str, str]:
    """Every generated file: its path in the repository, and its text."""
    return {
        f"crds/{GROUP}_{PLURAL}.yaml": _NOTE + _yaml(crd.definition()),
        "charts/seatrial/templates/crd.yaml": _chart_template(),
        "docs/reference.md": reference.page(),
    }


def _chart_template() -> str:
    """The definition as the chart installs, upgrades and keeps it: deleting it would delete every model."""
    definition = crd.definition()
    definition["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
    text = _yaml(definition)
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
