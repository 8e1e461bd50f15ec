"""Two answers to one request: their named outputs, and whether they are the same."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.api.mode import AgreementMode
from seatrial.core.answers import Array, Sameness, UnreadableError, array, difference, named_outputs

NUMERIC = Sameness(AgreementMode.NUMERIC, tolerance=0.01)
CLASS = Sameness(AgreementMode.CLASS)
TOP_2 = Sameness(AgreementMode.TOP_K, top_k=2)


def oip(data: Any, shape: list[int] | None = None, datatype: str = "FP64", name: str = "predict") -> dict[str, Any]:
    return {
        "outputs": [{"name": name, "datatype": datatype, "data": data, **({} if shape is None else {"shape": shape})}]
    }


def of(data: Any, shape: list[int] | None = None, datatype: str = "FP64") -> Array:
    return named_outputs(oip(data, shape, datatype))["predict"]


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "names", "values"),
    [
        (oip([0, 1], [2, 1], "INT64"), ["predict"], [0, 1]),
        ({"text_output": "Bergen", "model_name": "geo"}, ["text_output"], ["Bergen"]),
        ({"predictions": [[0.1, 0.9]]}, ["predictions"], [0.1, 0.9]),
        ({"predictions": [{"class": "a", "score": 0.5}, {"class": "b", "score": 0.25}]}, ["class", "score"], ["a", "b"]),
        ({"outputs": [{"name": "a", "data": [1]}, {"name": "b", "data": [2]}, "noise"]}, ["a", "b"], [1]),
    ],
)  # fmt: skip
def test_the_outputs_of_every_protocol_have_names(answer: object, names: list[str], values: list[object]) -> None:
    found = named_outputs(answer)
    assert list(found) == names
    assert list(found[names[0]].values) == values


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("<html>", "is no JSON object"),
        ({"error": "no such model"}, "has no outputs"),
        ({"outputs": []}, "has no outputs"),
        ({"predictions": []}, "has no outputs"),
        ({"outputs": [{"name": "p", "parameters": {"binary_data_size": 4}}]}, "the binary extension"),
        (oip([1, 2], [3]), "has 2 values for the shape [3]"),
        ({"predictions": [[1], [1, 2]]}, "is ragged"),
        ({"predictions": [{"a": 1}, 2]}, "holds an object"),
    ],
)
def test_what_cannot_be_read_says_why(answer: object, said: str) -> None:
    with pytest.raises(UnreadableError, match=said.replace("[", r"\[")):
        named_outputs(answer)


def test_without_a_datatype_fractions_are_scores_and_all_else_is_labels() -> None:
    assert not named_outputs({"predictions": [[0.1, 0.9], [1, 0]]})["predictions"].labels
    assert named_outputs({"predictions": ["cat", "dog"]})["predictions"].labels
    assert named_outputs({"predictions": [3, 1]})["predictions"].labels


# --- comparing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("same", "expected", "got", "said"),
    [
        (NUMERIC, of([1.0, 200.0]), of([1.005, 201.9]), ""),
        (NUMERIC, of([1.0, 2.0], [1, 2]), of([1.0, 2.2], [2]), "[0][1]: expected 2, got 2.2"),
        (NUMERIC, of([1.0]), of([2.0]), "expected 1, got 2"),
        (NUMERIC, of(["cat"], datatype="BYTES"), of(["dog"], datatype="BYTES"), "expected 'cat', got 'dog'"),
        (NUMERIC, of([1, 2, 3, 4], [2, 2]), of([1, 2, 3, 4], [4]), "shape: expected [2, 2], got [4]"),
        (CLASS, of([0.2, 0.8], [1, 2]), of([0.4, 0.6], [1, 2]), ""),
        (CLASS, of([0.2, 0.8], [1, 2]), of([0.4, 0.6], [2]), ""),
        (CLASS, of([0.2, 0.8], [1, 2]), of([0.6, 0.4], [1, 2]), "expected 1, got 0"),
        (CLASS, of([0.5, 0.5], [1, 2]), of([0.6, 0.4], [1, 2]), ""),
        (CLASS, of([3, 1], [2], "INT64"), of([3.0, 1.0], [2, 1], "FP32"), ""),
        (CLASS, of([3, 1], [2], "INT64"), of([3, 2], [2], "INT64"), "expected 1, got 2"),
        (CLASS, of([0.7, 0.2], [2]), of([0.71, 0.2], [2]), "expected 0.7, got 0.71"),
        (CLASS, of(["a"], [1], "BYTES"), of(["b"], [1], "BYTES"), "expected 'a', got 'b'"),
        (CLASS, of([0.1, None], [1, 2]), of([0.1, 0.2], [1, 2]), "expected nothing, a score is missing, got 1"),
        (CLASS, of([None, None], [1, 2]), of([None, None], [1, 2]), ""),
        (TOP_2, of([0.1, 0.6, 0.3], [1, 3]), of([0.0, 0.3, 0.7], [1, 3]), ""),
        (TOP_2, of([0.1, 0.6, 0.3], [1, 3]), of([0.4, 0.5, 0.1], [1, 3]), "expected 1, 2, got 0, 1"),
        (TOP_2, of([0.1, 0.6, 0.3]), of([0.0, 0.3, 0.7]), ""),
        (TOP_2, of([9, 4, 7], [1, 3], "INT64"), of([4, 9, 1], [1, 3], "INT64"), ""),
        (TOP_2, of([9, 4, 7], [1, 3], "INT64"), of([9, 7, 4], [1, 3], "INT64"), "expected 4, 9, got 7, 9"),
        (TOP_2, of(["x", "y", "z"], [3], "BYTES"), of(["x", "z", "y"], [3], "BYTES"), "expected 'x', 'y', got 'x', 'z'"),
        (TOP_2, of([0.1, 0.6, 0.3], [1, 3]), of([0.1, 0.6, 0.3, 0.0], [1, 4]), "shape: expected [1, 3], got [1, 4]"),
    ],
)  # fmt: skip
def test_what_counts_as_the_same(same: Sameness, expected: Array, got: Array, said: str) -> None:
    assert difference(expected, got, same) == said


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
arrays = st.tuples(st.integers(0, 3), st.integers(1, 4)).flatmap(
    lambda shape: st.lists(st.lists(values, min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0])
)
samenesses = st.builds(Sameness, st.sampled_from(AgreementMode), st.floats(0, 1), st.integers(1, 5))


@given(arrays, samenesses, st.booleans())
def test_every_answer_is_the_same_as_itself(nested: list[list[object]], same: Sameness, labels: bool) -> None:
    """Missing values too: a model that leaves one out on both sides has not changed."""
    found = array(nested)
    assert difference(Array(found.shape, found.values, labels), Array(found.shape, list(found.values)), same) == ""


@given(arrays, arrays, samenesses, st.booleans(), st.booleans())
def test_any_two_arrays_can_be_compared(
    a: list[list[object]], b: list[list[object]], same: Sameness, labels: bool, others: bool
) -> None:
    one, two = array(a), array(b)
    difference(Array(one.shape, one.values, labels), Array(two.shape, two.values, others), same)


scores = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=8, unique=True)


@given(scores, st.randoms(use_true_random=False))
def test_class_and_top_k_see_only_the_order_of_the_best(row: list[float], random: Any) -> None:
    """A strictly rising transformation of all scores changes no decision; swapping the best with the worst does."""
    risen = [math.atan(x / 1e6) * 3 + 1 for x in row]
    before = Array((1, len(row)), row)
    if len(set(risen)) == len(risen):
        assert difference(before, Array((1, len(row)), risen), CLASS) == ""
        assert difference(before, Array((1, len(row)), risen), TOP_2) == ""
    best, worst = row.index(max(row)), row.index(min(row))
    swapped = list(row)
    swapped[best], swapped[worst] = swapped[worst], swapped[best]
    assert difference(before, Array((1, len(row)), swapped), CLASS) != ""


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=6), st.floats(1e-9, 0.1), st.data())
def test_numeric_is_the_documented_inequality(row: list[float], tolerance: float, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(row) - 1))
    same = Sameness(AgreementMode.NUMERIC, tolerance)
    inside, outside = list(row), list(row)
    inside[at] += 0.99 * tolerance * max(1, abs(row[at]))
    outside[at] += 1.01 * tolerance * max(1, abs(row[at])) + 1e-6 * max(1, abs(row[at]))
    assert difference(Array((len(row),), row), Array((len(row),), inside), same) == ""
    assert difference(Array((len(row),), row), Array((len(row),), outside), same) != ""
