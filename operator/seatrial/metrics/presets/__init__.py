"""The metric presets that come with the operator: one YAML file each, in this folder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import yaml

from seatrial.api.spec import MetricSource, Runtime
from seatrial.core.checks.preset import Counted, Preset


@cache
def load() -> Mapping[str, Preset]:
    """All presets by name.

    Raises ValueError where a file does not say what a preset needs; that is a mistake of ours.
    """
    folder = resources.files(__package__)
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    presets = [parse(f.read_text(encoding="utf-8"), f.name) for f in files]
    return {preset.name: preset for preset in presets}


def parse(text: str, where: str) -> Preset:
    """One preset from its YAML."""
    raw = yaml.safe_load(text)
    try:
        preset = Preset(
            name=raw.pop("name"),
            title=raw.pop("title"),
            source=MetricSource(raw.pop("source")),
            runtimes=tuple(Runtime(name) for name in raw.pop("runtimes")),
            selector=raw.pop("selector"),
            copies=raw.pop("copies", None),
            exists=raw.pop("exists"),
            proof=raw.pop("proof"),
            requests=_counted(raw.pop("requests")),
            error_label=raw["errors"]["label"],
            error_values=str(raw.pop("errors")["values"]),
            latency=_counted(raw.pop("latency")) if "latency" in raw else None,
            excludes=tuple(raw.pop("excludes", ())),
            cannot_tell=tuple(raw.pop("cannotTell", ())),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"preset {where} is not complete: {error}") from error
    if raw:
        raise ValueError(f"preset {where} has fields that nothing reads: {', '.join(raw)}")
    return preset


def _counted(raw: dict[str, Any]) -> Counted:
    return Counted(metric=raw["metric"], only=raw.get("only", {}), unit=raw.get("unit", "s"))
