import math

import pytest
import yaml

from compactlib.runs import parameters
from compactlib.runs.parameters import Parameter, ParameterError, check, declared, parse_text
from tests.runs.samples import PARAMETERS


def test_the_cell_is_read_with_types_defaults_and_comments():
    known = declared(PARAMETERS)
    assert [str(p) for p in known.values()][:3] == ["epochs: int = 3", "lr: float = 0.1", "flip: bool = True"]
    assert known["epochs"].help == "passes over the training images"
    assert known["widths"] == Parameter("widths", "list[int]", [1, 2], "layer widths")
    assert known["run_dir"].default == ""


def test_the_cell_is_not_executed(tmp_path):
    target = tmp_path / "made"
    with pytest.raises(ParameterError, match="default has to be a plain value"):
        declared(f"x: int = open({str(target)!r}, 'w').write('a')  # no")
    assert not target.exists()


def test_a_hash_in_a_default_is_no_comment():
    assert declared('tag: str = "a # b"  # help')["tag"] == Parameter("tag", "str", "a # b", "help")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("epochs = 3", "has 'epochs = 3'; expected 'name: type = default"),
        ("import os", "has 'import os'"),
        ("x: int", "has 'x: int'; expected"),
        ("x: dict = {}", "the type is none of int, float"),
        ("x: int = 1.5", r"x: 1.5 is of type float, expected int"),
        ("x: int = True", "of type bool, expected int"),
        ("x: int =", "not valid Python: line 1"),
    ],
)
def test_a_cell_that_is_no_list_of_parameters_is_refused(cell, message):
    with pytest.raises(ParameterError, match=message):
        declared(cell)


def test_values_are_checked_and_an_int_serves_as_float():
    checked = check(declared(PARAMETERS), {"lr": 1, "epochs": 5, "flip": False, "widths": [4]}, "x")
    assert checked == {"lr": 1.0, "epochs": 5, "flip": False, "widths": [4]}
    assert isinstance(checked["lr"], float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"flip": "false"}, r"flip: 'false' is of type str, expected bool\. Write for example --set flip=true"),
        ({"flip": 0}, "flip: 0 is of type int, expected bool"),
        ({"epochs": True}, "epochs: True is of type bool, expected int"),
        ({"epochs": 3.0}, "epochs: 3.0 is of type float, expected int"),
        ({"epochs": None}, "epochs: None is of type NoneType, expected int"),
        ({"lr": math.nan}, "lr: nan is not a finite number"),
        ({"lr": math.inf}, "lr: inf is not a finite number"),
        ({"dataset": 3}, "dataset: 3 is of type int, expected str"),
        ({"widths": [1, "2"]}, "widths: '2' is of type str, expected int"),
        ({"widths": 1}, r"widths: 1 is of type int, expected list\[int\].*widths: \[1, 2\]"),
    ],
)
def test_an_ill_typed_value_is_refused_with_the_way_to_write_it(values, message):
    with pytest.raises(ParameterError, match=message):
        check(declared(PARAMETERS), values, "03_toy")


def test_yaml_reads_1e_minus_3_as_text_and_the_error_says_so():
    values = yaml.safe_load("lr: 1e-3")
    assert values == {"lr": "1e-3"}  # the trap itself
    with pytest.raises(ParameterError, match=r"YAML reads a number with an exponent only .* 1\.0e-3"):
        check(declared(PARAMETERS), values, "03_toy")
    assert check(declared(PARAMETERS), yaml.safe_load("lr: 1.0e-3"), "03_toy") == {"lr": 0.001}


def test_an_unknown_name_lists_the_known_ones_and_all_problems_come_together():
    with pytest.raises(ParameterError) as caught:
        check(declared(PARAMETERS), {"epoch": 3, "flip": "no"}, "03_toy cannot run")
    text = str(caught.value)
    assert text.startswith("03_toy cannot run:\nThere is no parameter 'epoch'. Did you mean 'epochs'?")
    assert "flip: 'no' is of type str" in text
    for parameter in declared(PARAMETERS).values():
        assert str(parameter) in text and parameter.help in text


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", "50", 50),
        ("int", "-2", -2),
        ("float", "3", 3.0),
        ("float", "1e-3", 0.001),
        ("float", ".5", 0.5),
        ("bool", "false", False),
        ("bool", "True", True),
        ("str", "3", "3"),
        ("str", "false", "false"),
        ("str", "", ""),
        ("list[int]", "1,2", [1, 2]),
        ("list[int]", "[1, 2]", [1, 2]),
        ("list[str]", "['a', b]", ["a", "b"]),
        ("list[float]", "1,0.5", [1.0, 0.5]),
        ("list[str]", "", []),
    ],
)
def test_texts_are_read_by_the_declared_type(kind, text, value):
    found = parse_text(Parameter("x", kind, None), text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(("int", text) for text in ("3.0", "1_000", "three", "", "9" * 5000)),
        *(("float", text) for text in ("nan", "inf", "1e999", "", "9" * 5000)),
        *(("bool", text) for text in ("0", "no", "")),
        ("list[int]", "1,a"),
        ("list[int]", "1," + "9" * 5000),
    ],
)
def test_texts_of_another_type_are_refused(kind, text):
    with pytest.raises(ParameterError, match=r"^x: ") as caught:
        parse_text(Parameter("x", kind, None), text)
    assert len(str(caught.value)) < 500


def test_a_whole_number_beyond_all_floats_is_none(tmp_path):
    known = {"x": Parameter("x", "float", 0.1)}
    with pytest.raises(ParameterError, match="x: inf is not a finite number"):
        check(known, {"x": 10**400}, "papermill")
    with pytest.raises(ParameterError) as caught:
        check(known, {"x": ["long"] * 10**5}, "papermill")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("hint", "name"),
    [(int, "int"), ("int", "int"), ("'bool'", "bool"), (list[str], "list[str]"), ("list[ int ]", "list[int]")],
)
def test_type_hints_come_as_types_or_as_text(hint, name):
    assert parameters.type_name(hint) == name
