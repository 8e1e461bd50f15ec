"""The metric presets that come with the operator: one YAML file each, in this folder.

What a file may say is `Preset`, in the words of `docs/presets.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import yaml

from seatrial.api.spec import MetricSource, Runtime
from seatrial.core.checks.preset import Counted, Mean, Preset, Template


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
    raw = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  both are safe loaders
    try:
        requests = _several(raw.pop("requests"))
        latency, copies = raw.pop("latency", None), raw.pop("copies", None)
        verified, version = raw.pop("verified", None), ""
        if verified is not None:
            version, known_from = str(verified.pop("version")), verified.pop("how")
            _used_up(verified, "verified")
        else:
            known_from = raw.pop("unverified")
        preset = Preset(
            name=raw.pop("name"),
            title=raw.pop("title"),
            source=MetricSource(raw.pop("source")),
            runtimes=tuple(Runtime(name) for name in raw.pop("runtimes")),
            selector=raw.pop("selector"),
            copies=None if copies == "uncounted" else copies,
            sees_copies=copies != "uncounted",
            exists=raw.pop("exists"),
            proof=raw.pop("proof"),
            requests=requests,
            errors=_errors(raw.pop("errors", []), requests),
            latency=None if latency is None or "mean" in latency else _counted(latency),
            mean=_mean(latency) if latency is not None and "mean" in latency else None,
            first_token=_counted(raw.pop("firstToken")) if "firstToken" in raw else None,
            inter_token=_counted(raw.pop("interToken")) if "interToken" in raw else None,
            excludes=tuple(raw.pop("excludes", ())),
            cannot_tell=tuple(raw.pop("cannotTell", ())),
            own_labels=frozenset(raw.pop("ownLabels", ())),
            verified=version,
            known_from=known_from,
            scrape=raw.pop("scrape"),
            only_by_query=raw.pop("onlyByQuery", ""),
            saturation=tuple(raw.pop("saturation", ())),
            templates=tuple(Template(**template) for template in raw.pop("queries", ())),
        )
        _used_up(raw, "")
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"preset {where} is not complete: {error}") from error
    except ValueError as error:
        raise ValueError(f"preset {where}: {error}") from error
    return preset


def _several(raw: Any) -> tuple[Counted, ...]:
    return tuple(_counted(one) for one in (raw if isinstance(raw, list) else [raw]))


def _errors(raw: Any, requests: tuple[Counted, ...]) -> tuple[Counted, ...]:
    """Values of a label of the requests' counters, or counters of their own."""
    if not isinstance(raw, dict) or "label" not in raw:
        return _several(raw)
    label, values = raw.pop("label"), str(raw.pop("values"))
    _used_up(raw, "errors")
    return tuple(Counted(one.metric, {**one.only, label: values}, one.never, one.unit) for one in requests)


def _counted(raw: dict[str, Any]) -> Counted:
    raw = dict(raw)
    only = {label: str(pattern) for label, pattern in raw.pop("only", {}).items()}
    out = Counted(raw.pop("metric"), only, raw.pop("never", {}), raw.pop("unit", "s"))
    _used_up(raw, out.metric)
    return out


def _mean(raw: dict[str, Any]) -> Mean:
    mean = dict(raw.pop("mean"))
    out = Mean(mean.pop("sum"), tuple(mean.pop("count")), raw.pop("unit", "s"))
    _used_up({**raw, **mean}, "latency")
    return out


def _used_up(raw: Mapping[str, Any], where: str) -> None:
    if raw:
        raise ValueError(f"{where + ': ' if where else ''}fields that nothing reads: {', '.join(raw)}")
