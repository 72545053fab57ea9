"""Every notebook through plain papermill, with other parameters than those whose outputs are stored."""

import json
from pathlib import Path

import numpy as np
import papermill
import pytest
import tifffile

from compactlib import app, models
from compactlib.models import load_model, read_facts
from compactlib.paths import NOTEBOOKS
from compactlib.runs.catalogue import TEMPLATE, notebooks
from compactlib.segmentation import predict_image
from compactlib.spark import segment

TRAINS = ("03_cct", "05_unet", "07_swin_unet")  # their models are opened elsewhere

CHANGED = {
    "00_start_here": dict(fraction=0.5),
    "01_vit_lite": dict(patch_size=4, depth=1, embed_dim=32),
    "02_cvt": dict(depth=1, embed_dim=32, num_heads=4, mlp_ratio=2.0),
    "03_cct": dict(num_convs=2, depth=1, embed_dim=32, kernel_size=5, val_fraction=0.0),
    "04_ablations": dict(
        studies=["positions", "size", "networks", "clock"],
        embed_dim=16,
        seeds=2,
        fraction=0.3,
        sizes=[8],
        clock_seconds=0.5,
    ),
    "05_unet": dict(padded=False, width=4, depth=2, norm="none", losses=["dice_ce"], fraction=0.3, crop=64),
    "06_swin": dict(patch_size=1, window_size=4, depth=1, embed_dim=16, fraction=0.5),
    "07_swin_unet": dict(dataset="cells", img_size=64, window_size=2, embed_dim=8, width=4, ablations=["1 skip"]),
    "89_template": dict(fraction=0.2, strength=0.1),
    "90_results_board": dict(epochs=1),
    "09_scene_segmentation": dict(height=300, width=520, train_side=400, size=64, crop=56, depth=3, engine="local"),
    "91_segmentation_app": dict(
        model="aerial-swin-unet", other="aerial-unet", side=300, patch=96, overlap=10, threshold=0.0
    ),
    "08_spark_patchify": dict(height=700, width=600, size=128, step=100, halo=8, border="constant", corners=[512]),
}


@pytest.mark.parametrize("notebook", [*notebooks(), TEMPLATE], ids=lambda n: n.stem)
def test_runs_with_changed_parameters(notebook, tmp_path):
    changed = {**CHANGED[notebook.stem], "seed": 1}
    changed |= {"epochs": 1} if "epochs" in notebook.parameters else {}  # cutting scenes has none
    out = tmp_path / "out.ipynb"
    papermill.execute_notebook(
        notebook.path,
        out,
        {**changed, "run_dir": str(tmp_path / "run")},
        cwd=str(NOTEBOOKS),
        kernel_name="python3",
        progress_bar=False,
    )
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert {key: result["parameters"][key] for key in changed} == changed
    assert result["results"] and all(0 <= r["value"] <= 1 for r in result["results"])
    stderr = [
        o.text
        for c in papermill.iorw.load_notebook_node(str(out)).cells
        for o in c.get("outputs", [])
        if o.get("name") == "stderr"
    ]
    assert stderr == []
    if notebook.stem in TRAINS:
        found = sorted((tmp_path / "run").rglob("best.safetensors"))
        assert found
        for path in found:
            opens_everywhere(path, tmp_path)


def opens_everywhere(path: Path, folder: Path) -> None:
    """What the lesson's `fit` has saved, without another line: in load_model, in the app, and in segment."""
    model, facts = load_model(path).eval(), read_facts(path)
    assert len(facts["classes"]) == model.num_classes and len(facts["mean"]) == len(facts["std"]) == model.in_chans
    pixels = np.random.default_rng(0).integers(0, 256, (80, 90, model.in_chans), np.uint8)
    tifffile.imwrite(folder / "scene.tif", pixels, photometric="rgb" if model.in_chans == 3 else "minisblack")
    [offer] = [offer for offer in app.offers(folder / "run") if offer.path == path]
    out = folder / "masks" / path.parent.name
    seen = app.segment(app.Picture("scene", pixels, "TIFF"), offer, offer.load(), app.plan(model, pixels.shape))
    mask = segment(folder / "scene.tif", path, out, engine="local", workers=1, progress=False)
    alone = predict_image(model, pixels, mean=facts["mean"], std=facts["std"]).argmax(-1)
    assert seen.classes == tuple(facts["classes"]) and seen.best.shape == alone.shape
    if isinstance(model, models.CompactTransformer):  # one class for a patch: a coarse mask, and it is said
        assert "one class for a whole patch" in seen.plan.remarks[-1]
    assert (seen.best == alone).mean() > 0.9 and (tifffile.imread(mask.mask) == alone).mean() > 0.9  # other tiles
