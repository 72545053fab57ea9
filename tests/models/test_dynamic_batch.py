"""Traced, exported or converted with one batch size, a model takes any other."""

import pytest
import torch

from tests.models.families import FAMILIES, built, images

TITLES = pytest.mark.parametrize("title", FAMILIES)


@pytest.mark.filterwarnings("ignore")
@TITLES
@pytest.mark.parametrize("example", [1, 2])
@torch.no_grad()
def test_traced(title, example):
    model = built(title)
    traced = torch.jit.trace(model, images(title, example))
    for batch in (1, 3):
        x = images(title, batch)
        torch.testing.assert_close(traced(x), model(x), rtol=1e-4, atol=1e-4)


@TITLES
@torch.no_grad()
def test_exported(title):
    model = built(title)
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    exported = torch.export.export(model, (images(title, 2),), dynamic_shapes=shapes).module()
    for batch in (1, 3):
        x = images(title, batch)
        torch.testing.assert_close(exported(x), model(x), rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore")
@TITLES
@pytest.mark.parametrize("dynamo", [True, False])
@torch.no_grad()
def test_onnx(title, dynamo, tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    model, path = built(title), str(tmp_path / "model.onnx")
    batch = torch.export.Dim("batch", min=1, max=64)
    dynamic = dict(dynamic_shapes=({0: batch},)) if dynamo else dict(dynamic_axes={"x": {0: "b"}, "y": {0: "b"}})
    names = dict(input_names=["x"], output_names=["y"])
    torch.onnx.export(model, (images(title, 2),), path, dynamo=dynamo, verbose=False, **names, **dynamic)
    x = images(title, 3)
    (found,) = runtime.InferenceSession(path).run(None, {"x": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), model(x), rtol=1e-3, atol=1e-3)
