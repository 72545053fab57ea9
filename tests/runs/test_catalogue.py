import pytest

from compactlib.__main__ import main
from compactlib.runs import catalogue, plan
from compactlib.runs.catalogue import Notebook, UsageError
from compactlib.runs.parameters import ParameterError
from tests.runs.samples import notebook, profile


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebooks")
    for stem in ("00_start_here", "03_cct", "10_duo"):
        notebook(folder / f"{stem}.ipynb", "1")
    (folder / "scratch.ipynb").write_text("{}")
    profile(folder, "03_cct-cpu", "# expect: 80 % in 5 minutes\nepochs: 5\ndataset: cifar10\n")
    profile(folder, "03_cct-cpu-fashion", "epochs: 4\n")
    profile(folder, "03_cct-gpu", "epochs: 9\nlr: 0.5\n")
    return folder


@pytest.mark.parametrize("name", ["03", "3", "03_cct", "cct", "path"])
def test_a_notebook_is_found_by_number_name_or_path(course, name):
    [found] = catalogue.find(str(course / "03_cct.ipynb") if name == "path" else name, course)
    assert found.stem == "03_cct" and found.title == "The 03_cct notebook"


def test_all_means_the_numbered_ones_in_order(course):
    assert [n.number for n in catalogue.find("all", course)] == ["00", "03", "10"]


@pytest.mark.parametrize("name", ["ctt", "4", "missing.ipynb", "cc", ""])
def test_a_wrong_name_is_answered_with_the_right_ones(course, name):
    with pytest.raises(UsageError) as caught:
        catalogue.find(name, course)
    assert name.endswith("ipynb") or "There are: 00_start_here, 03_cct, 10_duo." in str(caught.value)
    assert name != "ctt" or "Did you mean 'cct'?" in str(caught.value)


def names(course, *arguments, runs="runs", **options):
    return [
        job.folder.relative_to(course).as_posix() for job in plan.plan(arguments, runs=course, folder=course, **options)
    ]


def test_a_profile_stands_for_its_variants(course):
    assert names(course, "03", profile="cpu") == ["03_cct/cpu", "03_cct/cpu-fashion"]
    assert names(course, "03", profile="cpu-fashion") == ["03_cct/cpu-fashion"]
    assert names(course, "all") == ["00_start_here/smoke", "03_cct/smoke", "10_duo/smoke"]
    assert names(course, "all", profile="gpu") == ["03_cct/gpu"]
    assert names(course, "3", "cct") == ["03_cct/smoke"]  # named twice, run once


def test_a_missing_profile_is_answered_with_those_there_are(course):
    with pytest.raises(UsageError, match=r"03_cct has no profile 'tpu'. It has: smoke, cpu, cpu-fashion, gpu"):
        names(course, "03", profile="tpu")
    with pytest.raises(UsageError, match="No notebook has a profile 'tpu'"):
        names(course, "all", profile="tpu")


def test_settings_go_over_the_profile_and_into_the_name(course):
    [job] = plan.plan(["03"], profile="gpu", settings=["epochs=7", "flip=false"], runs=course, folder=course)
    assert job.params == {
        "epochs": 7,
        "lr": 0.5,
        "flip": False,
        "dataset": "digits",
        "widths": [1, 2],
        "seed": 0,
        "device": "auto",
    }
    assert job.name == "gpu-epochs=7-flip=false"
    assert job.command == "python -m compactlib run 03 --profile gpu --set epochs=7 --set flip=false"


def test_every_name_is_one_that_a_file_system_takes_and_differs():
    strange = [{"dataset": text} for text in ("a/b", "a b", "../x", "ü", "x" * 300, "x" * 299 + "y")]
    found = [plan.run_name("smoke", overrides) for overrides in strange]
    assert len(set(found)) == len(strange)
    assert all(name.isascii() and "/" not in name and " " not in name and len(name) <= 100 for name in found)


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        (["epoch=3"], ["There is no parameter 'epoch'. Did you mean 'epochs'?", "epochs: int = 3", "lr: float = 0.1"]),
        (["epochs=many"], ["epochs: 'many' is not of type int. Write for example --set epochs=3."]),
        (["flip=no", "lr=x"], ["flip: 'no' is not of type bool", "lr: 'x' is not of type float"]),
        (["epochs"], ["'epochs' is no setting. Write --set name=value."]),
        (["epochs=1", "epochs=2"], ["epochs is set twice."]),
        (["run_dir=/x"], ["run_dir is set by the runner. --runs DIR"]),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_starts(course, settings, messages):
    with pytest.raises(ParameterError) as caught:
        plan.plan(["03"], settings=settings, runs=course / "never", folder=course)
    assert all(message in str(caught.value) for message in messages)
    assert not (course / "never").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 3", "03_cct-bad.yaml:\nThere is no parameter 'epoch'"),
        ('flip: "false"', "flip: 'false' is of type str, expected bool"),
        ("run_dir: /x", "sets run_dir"),
        ("- 1", "holds a list, expected lines of 'name: value'"),
        ("a: [", "03_cct-bad.yaml is not valid YAML"),
        ("epochs: 3\nepochs: 4", "03_cct-bad.yaml is not valid YAML: 'epochs' stands here twice"),
        ("seed: " + "9" * 5000, "03_cct-bad.yaml is not valid YAML: a number of 5,000 characters"),
        ("a: &a [1, 2]\nb: &b [*a, *a]\nb: *b", "03_cct-bad.yaml is not valid YAML: 'b' stands"),
        ("epochs: " + "[" * 1000, "03_cct-bad.yaml is not valid YAML: more than 50 lists"),
    ],
)
def test_a_wrong_profile_file_is_named(tmp_path, text, message):
    path = notebook(tmp_path / "03_cct.ipynb", "1")
    profile(tmp_path, "03_cct-bad", text)
    with pytest.raises(ParameterError, match=message):
        plan.plan([str(path)], profile="bad", runs=tmp_path)


def test_the_profile_is_told_by_the_values(course):
    book = Notebook(course / "03_cct.ipynb")
    full = book.defaults | {"run_dir": "/anywhere"}
    assert book.nearest_profile(full) == ("smoke", {})
    assert book.nearest_profile(full | book.profile("gpu")) == ("gpu", {})
    assert book.nearest_profile(full | book.profile("gpu") | {"seed": 4}) == ("gpu", {"seed": 4})
    assert book.expectation("cpu") == "80 % in 5 minutes"


def test_the_fingerprint_follows_code_and_parameters_but_not_the_text(tmp_path):
    def fingerprint(*cells, settings=()):
        path = notebook(tmp_path / "03_cct.ipynb", *cells)
        return plan.plan([str(path)], settings=settings, runs=tmp_path)[0].fingerprint()

    def differ(one, other):
        return {part for part in one if one[part] != other[part]}

    first = fingerprint("# Text", "x = 1")
    assert first == fingerprint("# Other text", "x = 1") and set(first) == {"cells", "parameters", "library"}
    assert differ(first, fingerprint("# Text", "x = 2")) == {"cells"}
    assert differ(first, fingerprint("x = 1", settings=["seed=1"])) == {"parameters"}


def test_two_parameter_cells_are_refused(tmp_path):
    path = notebook(tmp_path / "03_cct.ipynb", ("seed: int = 0", "parameters"))
    with pytest.raises(ParameterError, match=r"03_cct\.ipynb has 2 cells tagged 'parameters', expected one"):
        plan.plan([str(path)], runs=tmp_path)


@pytest.mark.parametrize("content", ['{"cells":', "[]", "{}", '{"cells": [{"cell_type": "code"}]}', "\xff", "[" * 9999])
def test_a_file_that_is_no_notebook_is_named(content, tmp_path, capsys):
    path = tmp_path / "03_cct.ipynb"
    path.write_bytes(content.encode("latin-1"))
    assert main(["run", str(path), "--runs", str(tmp_path / "runs")]) == 2
    assert str(path) in capsys.readouterr().err and not (tmp_path / "runs").exists()
