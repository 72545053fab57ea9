"""Every notebook through plain papermill, with other parameters than those whose outputs are stored."""

import json

import papermill
import pytest

from compactlib.lab.catalogue import TEMPLATE, notebooks
from compactlib.paths import NOTEBOOKS

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
