"""The images of the model servers, made on first use and kept in the cache.

`demo_archive()` holds `localhost/demo-model:v1` … `v5`, `recalibrated` and `tail` in one OCI archive, so that the
500 MB of MLServer they share are stored and loaded once. `light_archive()` holds `localhost/light-model:1`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from dev import images
from dev.cache import Recipe, obtain
from dev.errors import DevError
from dev.models.layers import derive
from dev.progress import run_logged

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SCORES = ROOT / "clients" / "python" / "seatrial_scores"
VERSIONS = ("v1", "v2", "v3", "v4", "v5", "recalibrated", "tail")
DEMO = "localhost/demo-model"
LIGHT = "localhost/light-model:1"


def trained() -> Path:
    """The folder that `train.py` fills: models, recorded rows with predictions, and the demo's requests."""
    return obtain(_training(), _train)


def demo_archive() -> Path:
    """The OCI archive with all versions of the demo's model."""
    inputs = (_text(HERE / "layers.py"), _training().key, images.IMAGES["mlserver"].recipe.key)

    def build(folder: Path, log: Path) -> None:
        models = trained() / "models"
        tags = {f"{DEMO}:{version}": {"/models/breast-cancer": models / version} for version in VERSIONS}
        derive(images.archive("mlserver"), tags, folder / images.ARCHIVE)

    return obtain(Recipe("image-demo-model", "v5", inputs, 2), build) / images.ARCHIVE


def light_archive() -> Path:
    """The OCI archive of the light model server."""
    return images.build_image(HERE / "light", HERE / "light" / "Dockerfile", {}, LIGHT)


def _training() -> Recipe:
    serving = sorted([*(HERE / "serving").glob("*.py"), *SCORES.glob("*.py")])
    lock = _text(ROOT / "requirements" / "demo.lock")
    return Recipe("demo-model", "v5", (_text(HERE / "train.py"), lock, *map(_text, serving)), 4)


def _train(folder: Path, log: Path) -> None:
    python = ROOT / ".venv" / "bin" / "python"
    known = subprocess.run([python, "-c", "import sklearn"], check=False, capture_output=True)
    if known.returncode != 0:
        raise DevError("Training needs scikit-learn: python3 requirements/install.py demo")
    run_logged([python, "-m", "dev.models.train", folder], log, cwd=ROOT)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
