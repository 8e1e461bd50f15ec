"""Recorded requests: what is written, what is read back, and which answers are the recorded ones."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.core import answers, golden
from seatrial.core.answers import equal
from seatrial.core.golden import Json, Recorded, RecordingError, Tensor, build, compare, load, spread

ROWS: list[dict[str, Json]] = [{"radius": 17.99, "texture": 10.38}, {"radius": 20.57, "texture": 17.77}]
PREDICTIONS: list[dict[str, Json]] = [
    {"predict": 0, "predict_proba": [0.98, 0.02]},
    {"predict": 1, "predict_proba": [0.4, 0.6]},
]


def record(rows: Any = ROWS, predictions: Any = PREDICTIONS, **more: Any) -> dict[str, Any]:
    return build("golden", "models", "breast-cancer", "2026-11-20", rows, predictions, **more)


def answer(**outputs: Any) -> dict[str, Any]:
    """An inference response: `name=(shape, data)`, or `name=data` for one flat row."""
    out = []
    for name, value in outputs.items():
        shape, data = value if isinstance(value, tuple) else ([1, len(value)], value)
        out.append({"name": name, "datatype": "FP64", "shape": shape, "data": data})
    return {"model_name": "breast-cancer", "outputs": out}


def expecting(**outputs: Json) -> Recorded:
    return Recorded("17", {"inputs": []}, outputs)


# --- the ConfigMap ----------------------------------------------------------------------------------------------------


def test_a_recording_is_an_immutable_config_map_that_says_what_it_holds() -> None:
    manifest = record()
    assert manifest["kind"] == "ConfigMap"
    assert manifest["immutable"] is True
    assert manifest["metadata"]["name"] == "golden"
    assert manifest["metadata"]["namespace"] == "models"
    # The user's object, not a child of a ModelDeployment: nothing may take it for one.
    assert "labels" not in manifest["metadata"]
    annotations = manifest["metadata"]["annotations"]
    assert annotations["seatrial.dev/model-version"] == "2026-11-20"
    assert annotations["seatrial.dev/requests"] == "2"
    assert len(annotations["seatrial.dev/requests-sha256"]) == 64
    assert manifest["data"][golden.REQUESTS].split("\n")[0] == (
        '{"row":"1","request":{"inputs":[{"name":"input-0","shape":[1,2],"datatype":"FP64","data":[17.99,10.38]}],'
        '"outputs":[{"name":"predict"},{"name":"predict_proba"}]},'
        '"expected":{"predict":0,"predict_proba":[0.98,0.02]}}'
    )


def test_the_same_rows_give_the_same_bytes() -> None:
    assert record() == record()


def test_what_was_recorded_is_read_back() -> None:
    recording = load(record(row_ids=["tx-7", "tx-9"])["data"])
    assert (recording.model_name, recording.model_version) == ("breast-cancer", "2026-11-20")
    assert [r.row for r in recording.requests] == ["tx-7", "tx-9"]
    assert recording.requests[1].expected == {"predict": 1, "predict_proba": [0.4, 0.6]}
    assert recording.requests[1].body["inputs"][0]["data"] == [20.57, 17.77]


def test_columns_as_inputs_name_each_column_and_find_its_datatype() -> None:
    rows = [
        {"amount": "12.5", "age": "41", "country": "DE", "new": "true", "score": ""},
        {"amount": "7", "age": "29", "country": "", "new": "False", "score": "0.1"},
    ]
    manifest = record(rows, tensor=Tensor(columns_as_inputs=True))
    body = load(manifest["data"]).requests[0].body
    assert body["parameters"] == {"content_type": "pd"}
    assert [(i["name"], i["datatype"], i["data"], i["shape"]) for i in body["inputs"]] == [
        ("amount", "FP64", [12.5], [1, 1]),
        ("age", "INT64", [41], [1, 1]),
        ("country", "BYTES", ["DE"], [1, 1]),
        ("new", "BOOL", [True], [1, 1]),
        ("score", "FP64", [None], [1, 1]),
    ]
    assert body["inputs"][2]["parameters"] == {"content_type": "str"}


def test_a_row_that_is_a_whole_request_is_kept_as_it_is() -> None:
    body: dict[str, Json] = {
        "inputs": [{"name": "image", "shape": [1, 2, 2], "datatype": "UINT8", "data": [1, 2, 3, 4]}]
    }
    request = load(record([body], [{"label": "cat"}])["data"]).requests[0]
    assert request.body == {**body, "outputs": [{"name": "label"}]}


def test_a_missing_number_is_null_and_a_missing_prediction_too() -> None:
    manifest = record([{"a": "", "b": math.nan, "c": "nan"}], [{"predict": math.nan}])
    request = load(manifest["data"]).requests[0]
    assert request.body["inputs"][0]["data"] == [None, None, None]
    assert request.expected == {"predict": None}


@pytest.mark.parametrize(
    ("rows", "predictions", "more", "message"),
    [
        (
            ROWS,
            PREDICTIONS[:1],
            {},
            "there are 2 rows but 1 predictions; each row needs the prediction at the same place",
        ),
        ([], [], {}, "there are no rows: a recording needs at least one"),
        (
            [{"country": "DE"}],
            [{"predict": 1}],
            {},
            "row 1, column 'country': 'DE' is no FP64; models that take named columns need --columns-as-inputs",
        ),
        (
            [{"n": "1.5"}],
            [{"predict": 1}],
            {"tensor": Tensor(datatype="INT64")},
            "row 1, column 'n': '1.5' is no INT64",
        ),
        ([{"n": ""}], [{"predict": 1}], {"tensor": Tensor(datatype="INT64")}, "row 1, column 'n': '' is no INT64"),
        ([{"n": "inf"}], [{"predict": 1}], {}, "row 1, column 'n': 'inf' cannot be sent, JSON has no infinity"),
        ([{"n": 1}], [{"predict": math.inf}], {}, "row 1, predict: inf cannot be recorded, JSON has no infinity"),
        ([{"n": 1}], [{}], {}, "row 1 has no prediction: name at least one output"),
        (
            [{"n": 1}, {"m": 1}],
            PREDICTIONS,
            {"tensor": Tensor(columns_as_inputs=True)},
            "row 2 has other columns than the first row; they differ in m, n",
        ),
        (
            [{"n": [1, 2]}],
            [{"predict": 1}],
            {},
            "row 1, column 'n': a list cannot be one value of a row; give complete requests as JSON lines",
        ),
    ],
)
def test_what_cannot_be_recorded_is_said_with_the_row(rows: Any, predictions: Any, more: Any, message: str) -> None:
    with pytest.raises(RecordingError) as error:
        record(rows, predictions, **more)
    assert str(error.value) == message


def test_too_many_rows_say_how_many_fit_and_so_many_do_fit() -> None:
    rows = [{f"c{i}": float(n * i) / 7 for i in range(30)} for n in range(4000)]
    predictions = [{"predict": n} for n in range(4000)]
    with pytest.raises(RecordingError, match=r"4,000 rows take [\d,]+ bytes and a ConfigMap holds 1,048,576") as error:
        record(rows, predictions)
    fit = int(str(error.value).split("--limit ")[1].split(",")[0])
    taken = spread(4000, fit)
    manifest = record([rows[i] for i in taken], [predictions[i] for i in taken])
    assert golden.size(manifest["data"]) <= golden.SIZE_LIMIT
    # And the number is no timid guess.
    assert golden.size(manifest["data"]) > golden.SIZE_LIMIT * 0.97


def test_one_row_that_is_too_large_says_so() -> None:
    with pytest.raises(RecordingError, match="one row takes more than the 1,048,576 bytes"):
        record([{"text": "x" * 1_100_000}], [{"predict": 1}], tensor=Tensor(columns_as_inputs=True))


@given(st.integers(1, 500), st.integers(1, 500))
def test_spread_takes_distinct_rows_from_first_to_last(count: int, limit: int) -> None:
    taken = spread(count, limit)
    assert len(taken) == len(set(taken)) == min(count, limit)
    assert taken == sorted(taken)
    assert taken[0] == 0
    assert limit == 1 or taken[-1] == count - 1


# --- reading what somebody may have edited ----------------------------------------------------------------------------


LINE = '{"row":"1","request":{"inputs":[]},"expected":{"predict":1}}'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"format": None},
            "the ConfigMap has no key 'format'; recorded requests have 'oip/v1', make them with `seatrial golden record`",
        ),
        (
            {"format": "v9"},
            "the ConfigMap has the format 'v9'; recorded requests have 'oip/v1', make them with `seatrial golden record`",
        ),
        ({"modelVersion": None}, "the ConfigMap has no 'modelVersion'; make it with `seatrial golden record`"),
        ({"requests.jsonl": "\n\n"}, "requests.jsonl holds no requests"),
        ({"count": "2"}, "requests.jsonl holds 1 requests and 'count' says 2: was it cut off?"),
        (
            {"requests.jsonl": f"{LINE}\n{{"},
            "requests.jsonl line 2 is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        ({"requests.jsonl": "[]"}, "requests.jsonl line 1 is not an object with row, request and expected"),
        (
            {"requests.jsonl": f"{LINE}\n{LINE}"},
            "requests.jsonl line 2: row 1 was there already; each row needs its own name",
        ),
        (
            {"requests.jsonl": '{"request":{},"expected":{"a":1}}'},
            "requests.jsonl line 1: 'request' must be an inference request with 'inputs'",
        ),
        (
            {"requests.jsonl": '{"request":{"inputs":[]},"expected":{}}'},
            "requests.jsonl line 1: 'expected' must name at least one output with its values",
        ),
        (
            {"requests.jsonl": '{"request":{"inputs":[]},"expected":{"a":[[1],[2,3]]}}'},
            "requests.jsonl line 1: expected output 'a' is ragged: its lists have different lengths",
        ),
        (
            {"requests.jsonl": '{"request":{"inputs":[]},"expected":{"a":[{"b":1}]}}'},
            "requests.jsonl line 1: expected output 'a' holds an object where a value should be",
        ),
    ],
)
def test_a_broken_recording_is_refused_with_the_place(change: dict[str, str | None], message: str) -> None:
    data: dict[str, str | None] = {
        "format": "oip/v1",
        "modelName": "m",
        "modelVersion": "1",
        "count": "1",
        "requests.jsonl": LINE,
        **change,
    }
    with pytest.raises(RecordingError) as error:
        load({key: value for key, value in data.items() if value is not None})
    assert str(error.value) == message


@given(st.dictionaries(st.sampled_from(["format", "modelName", "modelVersion", "count", "requests.jsonl"]), st.text()))
def test_reading_never_fails_in_another_way(data: dict[str, str]) -> None:
    with pytest.raises(RecordingError):
        load({**data, "format": data.get("format", "oip/v1")})


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(any_json, any_json, any_json)
def test_any_line_of_json_is_read_or_refused(row: Json, request: Json, expected: Json) -> None:
    line = json.dumps({"row": row, "request": {"inputs": [request]}, "expected": {"a": expected}})
    try:
        recording = load({"format": "oip/v1", "modelName": "m", "modelVersion": "1", "requests.jsonl": line})
    except RecordingError:
        return
    assert len(recording.requests) == 1


# --- whose answers these are ------------------------------------------------------------------------------------------


def test_answers_of_another_version_or_model_prove_nothing() -> None:
    recording = load(record()["data"])
    assert golden.refusal(recording, "breast-cancer", "2026-11-20") == ""
    assert golden.refusal(recording, "breast-cancer", "2026-12-01") == (
        "the requests were recorded for model version '2026-11-20', and spec.model.version is '2026-12-01': record that "
        "version's answers with --model-version 2026-12-01 and name the new ConfigMap in spec.preflight"
    )
    assert "spec.model.version is not set" in golden.refusal(recording, "breast-cancer", None)
    assert golden.refusal(recording, "iris", "2026-11-20").endswith("record them again with --model iris")


# --- comparing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "response"),
    [
        (expecting(predict=1), answer(predict=[1])),
        (expecting(predict=1), answer(predict=([1], [1.0]))),
        (expecting(predict=[1]), answer(predict=([1, 1], [1]))),
        (expecting(predict="1"), answer(predict=[1])),
        (expecting(predict=1), answer(predict=["1"])),
        (expecting(predict=True), answer(predict=[1])),
        (expecting(predict=1), answer(predict=[True])),
        (expecting(predict="true"), answer(predict=[True])),
        (expecting(predict="malignant"), answer(predict=["malignant"])),
        (expecting(predict=None), answer(predict=[math.nan])),
        (expecting(proba=[0.25, 0.75]), answer(proba=([1, 2], [0.250099, 0.749901]))),
        (expecting(proba=[0.25, 0.75]), answer(proba=([1, 2], [[0.25, 0.75]]))),
        (expecting(value=1_000_000.0), answer(value=[1_000_099.0])),
        (expecting(map=[[1, 2, 3], [4, 5, 6]]), answer(map=([1, 2, 3], [1, 2, 3, 4, 5, 6]))),
        (expecting(predict=1), answer(other=[7], predict=[1])),
        (expecting(ids=[]), answer(ids=([1, 0], []))),
    ],
)
def test_the_recorded_answer_in_any_dress(expected: Recorded, response: dict[str, Any]) -> None:
    assert compare(expected, response, 0.0001) is None


@pytest.mark.parametrize(
    ("expected", "response", "sentence"),
    [
        (expecting(predict=1), answer(predict=[0]), "row 17, predict: expected 1, got 0"),
        (
            expecting(predict="malignant"),
            answer(predict=["benign"]),
            "row 17, predict: expected 'malignant', got 'benign'",
        ),
        (expecting(predict=1), answer(predict=["benign"]), "row 17, predict: expected 1, got 'benign'"),
        (expecting(predict=True), answer(predict=[False]), "row 17, predict: expected true, got false"),
        (
            expecting(predict=1, predict_proba=[0.1, 0.9]),
            answer(predict=[1], predict_proba=[0.1, 0.9002]),
            "row 17, predict_proba[1]: expected 0.9, got 0.9002",
        ),
        (expecting(m=[[1, 2], [3, 4]]), answer(m=([1, 2, 2], [1, 2, 3, 5])), "row 17, m[1][1]: expected 4, got 5"),
        (expecting(predict=1.5), answer(predict=[None]), "row 17, predict: expected 1.5, got NaN"),
        (expecting(predict=None), answer(predict=[0.5]), "row 17, predict: expected NaN, got 0.5"),
        (expecting(predict=1e308), answer(predict=[math.inf]), "row 17, predict: expected 1e+308, got inf"),
        (
            expecting(predict=1, predict_proba=[0.1, 0.9]),
            answer(predict=[1]),
            "row 17, output 'predict_proba': expected to be there, got predict",
        ),
        (expecting(p=[0.1, 0.9]), answer(p=([1, 3], [0.1, 0.9, 0])), "row 17, shape of p: expected [2], got [1, 3]"),
        (
            expecting(p=[[1, 2, 3], [4, 5, 6]]),
            answer(p=([3, 2], [1, 2, 3, 4, 5, 6])),
            "row 17, shape of p: expected [2, 3], got [3, 2]",
        ),
        (
            expecting(p=[1, 2]),
            answer(p=([1, 3], [1, 2])),
            "row 17, p: expected 2 values, got data that has 2 values for the shape [1, 3]",
        ),
        (
            expecting(p=1),
            answer(p=([1], [[1], 2])),
            "row 17, p: expected 1 value, got data that mixes values and lists",
        ),
        (
            expecting(p=1),
            answer(p=([1], [{"a": 1}])),
            "row 17, p: expected 1 value, got data that holds an object where a value should be",
        ),
        (
            expecting(p=1),
            {"error": "unsupported input"},
            "row 17, outputs: expected a list of outputs, got the error 'unsupported input'",
        ),
        (expecting(p=1), {"outputs": []}, "row 17, output 'p': expected to be there, got no outputs"),
        (expecting(p=1), "<html>", "row 17, response: expected an object with outputs, got '<html>'"),
        (expecting(p="a"), answer(p=["x" * 200]), f"row 17, p: expected 'a', got '{'x' * 76}…"),
    ],
)
def test_a_difference_names_row_field_expected_and_got(expected: Recorded, response: Any, sentence: str) -> None:
    assert str(compare(expected, response, 0.0001)) == sentence


@given(any_json, any_json)
def test_any_answer_can_be_compared(expected: Json, response: Json) -> None:
    for given_back in (
        response,
        {"outputs": response},
        {"outputs": [{"name": "a", "data": response, "shape": response}]},
    ):
        try:
            answers.array(expected)
        except ValueError:
            return
        difference = compare(Recorded("1", {}, {"a": expected}), given_back, 0.0001)
        assert difference is None or str(difference)


numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@given(numbers, st.floats(0, 1))
def test_a_value_equals_itself_at_any_tolerance(value: float, tolerance: float) -> None:
    assert equal(value, value, tolerance)
    assert equal(str(value), value, tolerance)


@given(st.floats(-1e12, 1e12), st.floats(1e-9, 0.1), st.floats(-0.99, 0.99))
def test_equal_is_the_documented_inequality(expected: float, tolerance: float, part: float) -> None:
    room = tolerance * max(1, abs(expected))
    assert equal(expected, expected + part * room, tolerance)
    assert not equal(expected, expected + 1.01 * room, tolerance)


@given(st.integers(-(2**63), 2**63 - 1))
def test_neighbouring_integers_differ_at_tolerance_zero_however_large(value: int) -> None:
    assert not equal(value, value + 1, 0)


@given(
    st.lists(
        st.fixed_dictionaries({"a": st.floats(allow_nan=True, allow_infinity=False), "b": st.integers()}),
        min_size=1,
        max_size=20,
    ),
    st.data(),
)
def test_a_server_that_answers_as_recorded_passes(rows: list[dict[str, Json]], data: st.DataObject) -> None:
    scalars = st.floats(allow_infinity=False) | st.integers(-(2**53), 2**53) | st.booleans() | st.text(max_size=8)
    predictions = data.draw(
        st.lists(
            st.fixed_dictionaries({"predict": scalars, "scores": st.lists(scalars, max_size=3)}),
            min_size=len(rows),
            max_size=len(rows),
        )
    )
    manifest = record(rows, predictions)
    for request, prediction in zip(load(manifest["data"]).requests, predictions, strict=True):
        response = answer(predict=[prediction["predict"]], scores=prediction["scores"])
        # Through the wire and back.
        assert compare(request, json.loads(json.dumps(response)), 0) is None
