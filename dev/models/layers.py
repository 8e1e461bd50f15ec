"""Images that are another one with a folder more, written without a builder.

A model image is its server's image and one small layer. Four of them share the server's 200 MB: in the archive
that is written here, in the store of a node, and in memory.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "org.opencontainers.image.ref.name"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


def derive(base: Path, tags: Mapping[str, Mapping[str, Path]], target: Path) -> None:
    """Write an OCI archive with one image for each tag: `base` and these folders, by their place in the image."""
    with tarfile.open(base) as source, tarfile.open(target, "w") as archive:
        index = _json(source, "index.json")
        manifest = _json(source, _path(index["manifests"][0]["digest"]))
        config = _json(source, _path(manifest["config"]["digest"]))
        for layer in manifest["layers"]:
            member = source.getmember(_path(layer["digest"]))
            archive.addfile(member, source.extractfile(member))
        manifests = [_image(archive, tag, folders, manifest, config) for tag, folders in tags.items()]
        _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(archive, "index.json", _bytes({"schemaVersion": 2, "manifests": manifests}))


def _image(
    archive: tarfile.TarFile, tag: str, folders: Mapping[str, Path], base: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, Any]:
    """Add one image; gives its entry of the index."""
    layer = _blob(archive, _layer(folders), _LAYER)
    history = [*config.get("history", []), {"created_by": f"files of {tag}"}]
    rootfs = {**config["rootfs"], "diff_ids": [*config["rootfs"]["diff_ids"], layer["digest"]]}
    new_config = _blob(archive, _bytes({**config, "rootfs": rootfs, "history": history}), _CONFIG)
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": new_config,
        "layers": [*base["layers"], layer],
    }
    return {**_blob(archive, _bytes(manifest), _MANIFEST), "annotations": {NAME: tag}}


def _layer(folders: Mapping[str, Path]) -> bytes:
    """The same files give the same bytes, and so the same digest: no times, no owners."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as layer:
        for place, folder in folders.items():
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    _add(layer, f"{place.strip('/')}/{file.relative_to(folder)}", file.read_bytes())
    return out.getvalue()


def _blob(archive: tarfile.TarFile, content: bytes, kind: str) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    _add(archive, _path(digest), content)
    return {"mediaType": kind, "digest": digest, "size": len(content)}


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o644
    archive.addfile(member, io.BytesIO(content))


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _json(source: tarfile.TarFile, name: str) -> Any:
    file = source.extractfile(name)
    assert file is not None
    return json.load(file)


def _bytes(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
