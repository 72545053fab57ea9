"""Ablations: many trainings that differ in one thing. None is done twice, and a killed run goes on where it was."""

import dataclasses
import hashlib
import inspect
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import timm
import torch
from safetensors.torch import load_file
from torch import nn
from tqdm.auto import tqdm

from compactlib import datasets, schemas
from compactlib.datasets.splits import TEST, TEST_SEED
from compactlib.documents import DocumentError, read_json
from compactlib.files import atomic_write
from compactlib.models import CompactTransformer, count_parameters
from compactlib.training import Recipe, evaluate, fit, save_weights

if TYPE_CHECKING:
    from compactlib.runs.run import Run

IMAGES = ("img_size", "in_chans", "num_classes")  # follow from the data, whatever the model
DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(CompactTransformer).parameters.items()
    if name not in IMAGES
}
MODEL = tuple(DEFAULTS)
RECIPE = tuple(field.name for field in dataclasses.fields(Recipe) if field.name != "seed")
DATA = ("fraction", "img_size")
DONE, WEIGHTS = "trial.json", "model.safetensors"


@dataclass(frozen=True)
class Trial:
    """One training: what was set, and what came out. Accuracies are of the test part, in 0 to 1."""

    settings: dict[str, Any]
    seed: int
    accuracy: float
    params_count: int
    train_seconds: float
    cpu_seconds: float
    history: list[dict[str, float]] = dataclasses.field(repr=False)
    folder: Path = dataclasses.field(repr=False, compare=False)


@dataclass(frozen=True)
class Spread:
    """A number measured n times: mean and sample standard deviation (nan for one)."""

    mean: float
    sd: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else float("nan"), len(values))

    def __str__(self) -> str:
        """In per cent: "83.1 ± 0.4" or "83.1"."""
        return f"{100 * self.mean:.1f}" + (f" ± {100 * self.sd:.1f}" if self.n > 1 else "")


class Ablation:
    """Trains a CompactTransformer, or a network of timm's, under settings that differ from a common ground.

    A variant is a dict of arguments of CompactTransformer, fields of Recipe, `fraction` (a share of the share that the
    run uses), `img_size` (pixels to which all images are resized), and `network` (a name in timm's registry, in place
    of a CompactTransformer); the model's sizes for the images follow from the data. Two variants of the same settings
    are one trial, in whatever study they stand.

    Args:
        run: what `lab.start` returned; trials are kept in its folder.
        recipe: the training that all share.
        ground: arguments of CompactTransformer that all share.
        dataset, fraction, val_fraction: as for `compactlib.datasets.load`.
        test_fraction: share of the test images to measure with, of every class, the same ones for every trial.
        seeds: trainings of each variant, with seeds run.seed, run.seed + 1, ...; the images stay the same.
        only: studies to do; the others give nothing. None: all.
    """

    def __init__(
        self,
        run: "Run",
        recipe: Recipe,
        ground: Mapping[str, Any],
        *,
        dataset: str,
        fraction: float = 1.0,
        val_fraction: float = 0.0,
        test_fraction: float = 1.0,
        seeds: int = 1,
        only: Sequence[str] | None = None,
    ):
        _known(ground, MODEL)
        if not 0 < test_fraction <= 1:
            raise ValueError(f"test_fraction must be above 0 and at most 1, not {test_fraction!r}.")
        self.run, self.recipe, self.ground, self.seeds, self.only = run, recipe, dict(ground), seeds, only
        self.dataset, self.fraction = dataset, fraction
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self._load = cache(self._load)

    def __call__(self, study: str, variants: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Trial]]:
        """Train every variant with every seed: label -> trials. {} if the study is not among those to do.

        All settings are checked before the first training. Raises ValueError, naming the variant.
        """
        if self.only is not None and study not in self.only:
            return {}
        for label, settings in variants.items():
            try:
                _known(settings, (*MODEL, *RECIPE, *DATA, "network"))
                self._recipe(settings, self.run.seed)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{study}, {label}: {error}") from None
        wanted = [(label, settings, k) for label, settings in variants.items() for k in range(self.seeds)]
        found: dict[str, list[Trial]] = {}
        for label, settings, k in tqdm(wanted, desc=study, leave=False, unit="run"):
            found.setdefault(label, []).append(self.trial(settings, self.run.seed + k))
        return found

    def trial(self, settings: Mapping[str, Any], seed: int) -> Trial:
        """Train one variant with one seed, or read what an earlier call found."""
        recipe, data = self._recipe(settings, seed), self.data(settings)
        model = settings["network"] if "network" in settings else DEFAULTS | self._arguments(settings)
        shares = [self.fraction * settings.get("fraction", 1.0), self.val_fraction, self.test_fraction]
        facts = [model, dataclasses.asdict(recipe), self.dataset, *shares, data.img_size]
        key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
        folder = self.run.path / "trials" / key
        if (folder / DONE).is_file():
            return Trial(**read_trial(folder / DONE), folder=folder)
        model = self.build(settings, seed)
        result = fit(model, data, recipe, folder, device=self.run.device, progress=False)
        trial = Trial(
            settings=dict(settings),
            seed=seed,
            accuracy=evaluate(model, data).accuracy,
            params_count=count_parameters(model),
            train_seconds=sum(result.column("train_seconds")),
            cpu_seconds=sum(result.column("cpu_seconds")),
            history=result.history,
            folder=folder,
        )
        save_weights(folder / WEIGHTS, model)
        content = {name: value for name, value in vars(trial).items() if name != "folder"}
        atomic_write(folder / DONE, json.dumps(content, indent=1) + "\n")
        for name in ("last", "previous", "best"):  # what a run goes on from is no longer needed
            (folder / f"{name}.safetensors").unlink(missing_ok=True)
        return trial

    def data(self, settings: Mapping[str, Any] | None = None) -> datasets.ImageData:
        """The images of a variant; without one those that most variants share."""
        settings = settings or {}
        return self._load(settings.get("fraction", 1.0), settings.get("img_size"))

    def _load(self, fraction: float, img_size: int | None) -> datasets.ImageData:
        data = datasets.load(
            self.dataset, self.fraction * fraction, self.run.seed, val_fraction=self.val_fraction, img_size=img_size
        )
        if self.test_fraction == 1:
            return data
        return replace(data, test=data.test.split(self.test_fraction, seed=TEST_SEED, stream=TEST)[1])

    def build(self, settings: Mapping[str, Any], seed: int) -> nn.Module:
        """The untrained model of a variant."""
        data = self.data(settings)
        torch.manual_seed(seed)
        if "network" in settings:
            return timm.create_model(settings["network"], in_chans=data.in_chans, num_classes=data.num_classes)
        return CompactTransformer(data.img_size, data.in_chans, data.num_classes, **self._arguments(settings))

    def trained(self, trial: Trial) -> nn.Module:
        """The model of a trial with its weights, in eval mode, on the run's device."""
        model = self.build(trial.settings, trial.seed)
        model.load_state_dict(load_file(trial.folder / WEIGHTS))
        return model.to(self.run.device).eval()

    def _arguments(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return self.ground | {name: value for name, value in settings.items() if name in MODEL}

    def _recipe(self, settings: Mapping[str, Any], seed: int) -> Recipe:
        chosen = {name: value for name, value in settings.items() if name in RECIPE}
        base = dataclasses.asdict(self.recipe)
        scale = chosen.get("epochs", base["epochs"]) / base["epochs"]
        lengths = {name: round(base[name] * scale) for name in Recipe.LENGTHS}
        return Recipe(**(base | lengths | chosen | {"seed": seed}))


def read_trial(path: Path) -> dict[str, Any]:
    """What a trial wrote into its `trial.json`. Raises DocumentError, naming the file, where it is damaged."""
    content = read_json(path)
    if problem := schemas.problem(content, schemas.TRIAL):
        raise DocumentError(f"{path}: {problem}. Remove the file, and the trial is trained again.")
    return content


def _known(settings: Mapping[str, Any], names: Sequence[str]) -> None:
    if unknown := sorted(set(settings) - set(names)):
        raise ValueError(f"unknown setting {', '.join(unknown)}; expected one of {', '.join(names)}")
