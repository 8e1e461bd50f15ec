"""`seatrial golden record`: what people export, and what they are told when it does not fit."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from seatrial.cli import recording
from seatrial.cli.main import main
from seatrial.core import golden

ROWS = "radius,texture\n17.99,10.38\n20.57,17.77\n19.69,21.25\n"
PREDS = "predict\n0\n1\n0\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(**files: str) -> None:
    for name, text in files.items():
        stem, _, suffix = name.rpartition("_")
        Path(f"{stem}.{suffix}").write_text(text)


def record(*more: str, rows: str = "rows.csv", preds: str = "preds.csv") -> int:
    named = ["--model", "breast-cancer", "--model-version", "2026-11-20", "--name", "golden-1"]
    return main(["golden", "record", "--rows", rows, "--predictions", preds, *named, *more])


def recorded(capsys: pytest.CaptureFixture[str], *more: str, **files: str) -> golden.Recording:
    assert record(*more, **files) == 0
    return golden.load(yaml.safe_load(capsys.readouterr().out)["data"])


def test_csv_becomes_a_config_map(capsys: pytest.CaptureFixture[str]) -> None:
    write(rows_csv=ROWS, preds_csv=PREDS)
    assert record("-n", "models") == 0
    said = capsys.readouterr()
    manifest = yaml.safe_load(said.out)
    assert manifest["metadata"]["name"] == "golden-1"
    assert manifest["metadata"]["namespace"] == "models"
    assert manifest["immutable"] is True
    recording = golden.load(manifest["data"])
    assert [request.expected for request in recording.requests] == [{"predict": 0}, {"predict": 1}, {"predict": 0}]
    assert recording.requests[2].body == {
        "inputs": [{"name": "input-0", "shape": [1, 2], "datatype": "FP64", "data": [19.69, 21.25]}],
        "outputs": [{"name": "predict"}],
    }
    assert said.err.startswith("Recorded 3 of 3 rows for breast-cancer 2026-11-20: ConfigMap golden-1, ")
    # Lines that a person can read and a reviewer can compare.
    assert '\n    {"row":"1","request":' in said.out


def test_a_file_instead_of_standard_output(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    write(rows_csv=ROWS, preds_csv=PREDS)
    assert record("-o", "golden.yaml") == 0
    assert capsys.readouterr().out == ""
    assert yaml.safe_load((folder / "golden.yaml").read_text())["kind"] == "ConfigMap"


def test_what_is_written_is_the_manifest_itself() -> None:
    rows: list[dict[str, Any]] = [{"a": 'ü \\ " # : x\n', "b": " "}]
    manifest = golden.build(
        "g", None, "m: #", "1", rows, [{"o": "é\u2028"}], tensor=golden.Tensor(columns_as_inputs=True)
    )
    assert yaml.safe_load(recording.to_yaml(manifest)) == manifest


def test_several_outputs_from_columns(capsys: pytest.CaptureFixture[str]) -> None:
    write(rows_csv=ROWS, preds_csv="label,p0,p1\nbenign,0.9,0.1\nmalignant,0.2,0.8\nbenign,0.7,\n")
    found = recorded(capsys, "--output", "predict=label", "--output", "predict_proba=p0,p1")
    assert found.requests[1].expected == {"predict": "malignant", "predict_proba": [0.2, 0.8]}
    assert found.requests[2].expected == {"predict": "benign", "predict_proba": [0.7, None]}
    assert found.requests[0].body["outputs"] == [{"name": "predict"}, {"name": "predict_proba"}]


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    write(
        rows_jsonl='{"a": 1.5, "country": "DE"}\n{"a": 2, "country": "FR"}\n',
        preds_jsonl='{"predict": 1, "predict_proba": [0.1, 0.9]}\n{"predict": 0, "predict_proba": [0.8, 0.2]}\n',
    )
    found = recorded(capsys, "--columns-as-inputs", rows="rows.jsonl", preds="preds.jsonl")
    assert [i["datatype"] for i in found.requests[0].body["inputs"]] == ["FP64", "BYTES"]
    assert found.requests[1].expected == {"predict": 0, "predict_proba": [0.8, 0.2]}


def test_predictions_without_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    write(rows_csv=ROWS, preds_jsonl="0\n1\n0\n")
    assert recorded(capsys, preds="preds.jsonl").requests[1].expected == {"predict": 1}


def test_labels_that_look_like_numbers_in_part_stay_labels(capsys: pytest.CaptureFixture[str]) -> None:
    write(rows_csv=ROWS, preds_csv="kind\n1\n2b\n3\n")
    assert [r.expected["predict"] for r in recorded(capsys).requests] == ["1", "2b", "3"]


def test_booleans_and_arrays_in_cells(capsys: pytest.CaptureFixture[str]) -> None:
    write(rows_csv=ROWS, preds_csv='fraud,p\nTrue,"[0.1, 0.9]"\nFalse,"[0.8, 0.2]"\nFalse,"[1, 0]"\n')
    found = recorded(capsys, "--output", "predict=fraud", "--output", "predict_proba=p")
    assert found.requests[0].expected == {"predict": True, "predict_proba": [0.1, 0.9]}


def test_limit_takes_rows_from_the_whole_file_and_keeps_their_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    write(
        rows_csv="a\n" + "".join(f"{i}\n" for i in range(100)), preds_csv="y\n" + "".join(f"{i}\n" for i in range(100))
    )
    found = recorded(capsys, "--limit", "3")
    assert [request.row for request in found.requests] == ["1", "51", "100"]
    assert [request.expected["predict"] for request in found.requests] == [0, 50, 99]


def test_rows_are_called_by_their_id(capsys: pytest.CaptureFixture[str]) -> None:
    write(rows_csv="tx,a\nT-1,5\nT-2,6\n", preds_csv="y\n0\n1\n")
    found = recorded(capsys, "--id-column", "tx")
    assert [request.row for request in found.requests] == ["T-1", "T-2"]
    assert found.requests[0].body["inputs"][0]["data"] == [5]


def test_windows_and_spreadsheets(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "rows.csv").write_bytes(b'\xef\xbb\xbfa,b\r\n1,"x\r\ny"\r\n2,z\r\n')
    write(preds_csv=" predict \n 0\n1 \n")
    found = recorded(capsys, "--columns-as-inputs")
    assert found.requests[0].body["inputs"][1]["data"] == ["x\r\ny"]
    assert found.requests[0].expected == {"predict": 0}


def test_a_column_of_an_array_may_be_called_by_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    write(rows_csv="0,1\n1.5,2\n3,4\n", preds_csv="0\n0\n1\n")
    assert len(recorded(capsys).requests) == 2


def test_something_large_says_how_it_is_applied(capsys: pytest.CaptureFixture[str]) -> None:
    header = ",".join(f"c{i}" for i in range(30))
    write(
        rows_csv=header + "\n" + "".join(",".join(["0.123456789"] * 30) + "\n" for _ in range(700)),
        preds_csv="y\n" + "1\n" * 700,
    )
    assert record("-o", "golden.yaml") == 0
    assert "use `kubectl apply --server-side`" in capsys.readouterr().err


BAD: list[tuple[dict[str, str], list[str], str]] = [
    ({"rows_csv": "", "preds_csv": PREDS}, [], "rows.csv holds no rows, not even a header"),
    ({"rows_csv": "a,b\n", "preds_csv": PREDS}, [], "rows.csv holds no rows below its header"),
    ({"rows_csv": ROWS + "1\n", "preds_csv": PREDS}, [], "rows.csv line 5 has 1 cells and the header has 2"),
    ({"rows_csv": 'a,b\n1,"2\n', "preds_csv": PREDS}, [], "rows.csv line 2 is not CSV: unexpected end of data"),
    (
        {"rows_csv": ",a\n0,1\n", "preds_csv": PREDS},
        [],
        "rows.csv line 1: column 1 has no name. pandas writes its index so: use to_csv(…, index=False)",
    ),
    ({"rows_csv": "a,a\n0,1\n", "preds_csv": PREDS}, [], "rows.csv line 1: the column 'a' is there twice"),
    (
        {"rows_csv": "17.99,10.38\n20.57,17.77\n", "preds_csv": PREDS},
        [],
        "rows.csv line 1 holds numbers: the first line must name the columns",
    ),
    (
        {"rows_csv": ROWS, "preds_csv": "y\n1\n"},
        [],
        "rows.csv has 3 rows and preds.csv has 1: each row needs its prediction, in the same order",
    ),
    (
        {"rows_csv": "a,b\n1,2\n\n3,DE\n", "preds_csv": "y\n1\n0\n"},
        [],
        "rows.csv: row 2, column 'b': 'DE' is no FP64; models that take named columns need --columns-as-inputs (line 4)",
    ),
    (
        {"rows_csv": ROWS, "preds_csv": "label,p0,p1\n1,0,1\n0,1,0\n1,0,1\n"},
        [],
        "preds.csv has the columns label, p0, p1: say which output they are, such as --output predict=label, or --output predict_proba=p0,p1",
    ),
    (
        {"rows_csv": ROWS, "preds_csv": PREDS},
        ["--output", "predict=label"],
        "--output predict: preds.csv has no column 'label'; it has predict",
    ),
    (
        {"rows_csv": ROWS, "preds_csv": PREDS},
        ["--output", "predict"],
        "--output 'predict' is not NAME=COLUMN or NAME=COLUMN,COLUMN",
    ),
    (
        {"rows_csv": ROWS, "preds_csv": PREDS},
        ["--output", "p=predict", "--output", "p=predict"],
        "--output p is given twice: list its columns in one, separated by commas",
    ),
    (
        {"rows_csv": ROWS, "preds_csv": "p\n[0.1 0.9]\n[0.2 0.8]\n[0.3 0.7]\n"},
        [],
        "preds.csv line 2, column 'p': '[0.1 0.9]' is an array as numpy prints it. Write a column for each of its values and name them with --output p=…, or write JSON lines",
    ),
    ({"rows_csv": ROWS, "preds_csv": PREDS}, ["--limit", "0"], "--limit 0 records nothing: give 1 or more"),
    (
        {"rows_csv": "tx,a\nT,5\nT,6\n", "preds_csv": "y\n0\n1\n"},
        ["--id-column", "tx"],
        "rows.csv line 3: the id 'T' was there in line 2 already",
    ),
    ({"rows_csv": ROWS, "preds_csv": PREDS}, ["--id-column", "tx"], "--id-column: rows.csv line 2 has no column 'tx'"),
]


@pytest.mark.parametrize(("files", "more", "sentence"), BAD)
def test_what_does_not_fit_is_said_with_file_and_line(
    files: dict[str, str], more: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(**files)
    assert record(*more) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"seatrial: {sentence}\n")


@pytest.mark.parametrize(
    ("rows", "preds", "sentence"),
    [
        ("1\n", "1\n", "rows.jsonl line 1: a row is an object, column by column, not 1"),
        (
            "[\n{}\n]",
            "1\n",
            "rows.jsonl line 1 is not JSON: Expecting value: line 1 column 2 (char 1); one JSON value a line is wanted, not one large array",
        ),
        ("", "1\n", "rows.jsonl holds no lines"),
    ],
)
def test_json_lines_that_are_none(rows: str, preds: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(rows_jsonl=rows, preds_jsonl=preds)
    assert record(rows="rows.jsonl", preds="preds.jsonl") == 2
    assert capsys.readouterr().err == f"seatrial: {sentence}\n"


def test_files_that_cannot_be_read_or_written(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    write(preds_csv=PREDS)
    assert record() == 2
    assert capsys.readouterr().err == "seatrial: rows.csv cannot be read: No such file or directory\n"
    (folder / "rows.csv").write_bytes(b"a,b\n1,\xff\n")
    assert record() == 2
    assert capsys.readouterr().err == "seatrial: rows.csv is not UTF-8 (byte 6): save it as UTF-8\n"
    write(rows_csv=ROWS)
    assert record("-o", "missing/golden.yaml") == 2
    assert capsys.readouterr().err == "seatrial: missing/golden.yaml cannot be written: No such file or directory\n"


def test_a_name_that_kubernetes_would_refuse(capsys: pytest.CaptureFixture[str]) -> None:
    write(rows_csv=ROWS, preds_csv=PREDS)
    assert record("--name", "Golden_1") == 2
    assert "--name 'Golden_1' is no name" in capsys.readouterr().err


def test_too_many_rows_name_the_limit_that_works(capsys: pytest.CaptureFixture[str]) -> None:
    header = ",".join(f"c{i}" for i in range(30))
    write(
        rows_csv=header + "\n" + "".join(",".join([f"{i}.123456789"] * 30) + "\n" for i in range(4000)),
        preds_csv="y\n" + "1\n" * 4000,
    )
    assert record() == 2
    found = re.search(r"Use --limit (\d+)", capsys.readouterr().err)
    assert found
    assert record("--limit", found[1], "-o", "golden.yaml") == 0


def test_the_example_of_the_help_works(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert main(["golden", "record", "--help"]) == 0
    said = capsys.readouterr().out
    command = said[said.index("  seatrial golden record --rows") : said.index("  kubectl apply")]
    write(rows_csv=ROWS, preds_csv=PREDS)
    assert main(shlex.split(command.replace("\\\n", " "))[1:]) == 0
    manifest = yaml.safe_load((folder / "golden.yaml").read_text())
    spec = yaml.safe_load(said[said.index("  spec:") :])["spec"]
    assert spec["preflight"]["requests"]["configMapRef"]["name"] == manifest["metadata"]["name"]
    assert golden.refusal(golden.load(manifest["data"]), spec["model"]["name"], spec["model"]["version"]) == ""


def test_the_example_of_the_manual_works(folder: Path) -> None:
    """docs/golden-requests.md: the script for a training pipeline, run as it is printed."""
    manual = Path(recording.__file__).parents[3] / "docs" / "golden-requests.md"
    script = re.search(r"```python\n# record_golden.py\n(.*?)```", manual.read_text(), re.DOTALL)
    assert script
    pytest.importorskip("sklearn", reason="scikit-learn is not installed: make demo brings it")
    done = subprocess.run([sys.executable, "-c", script[1]], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert record("--limit", "40", "-o", "golden.yaml", rows="rows.jsonl", preds="preds.jsonl") == 0
    found = golden.load(yaml.safe_load((folder / "golden.yaml").read_text())["data"])
    assert len(found.requests) == 40
    assert found.requests[0].expected.keys() == {"predict", "predict_proba"}


def test_json_files_are_read_as_python_writes_them(capsys: pytest.CaptureFixture[str]) -> None:
    write(rows_jsonl=json.dumps({"a": float("nan")}) + "\n", preds_jsonl='{"y": NaN}\n')
    found = recorded(capsys, rows="rows.jsonl", preds="preds.jsonl")
    assert found.requests[0].expected == {"y": None}
    assert found.requests[0].body["inputs"][0]["data"] == [None]
