"""Manifests as YAML that a person can read and diff."""

from __future__ import annotations

from typing import Any


def written(manifest: dict[str, Any], *, width: int) -> str:
    """The manifest with its keys in their order, and a text of several lines as a block. `width`: where longer lines are folded."""
    import yaml  # noqa: PLC0415 - only needed here, and slower to import than `seatrial version` takes

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return yaml.dump(manifest, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=width)
