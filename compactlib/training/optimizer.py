"""The recipe's optimizer for a model, with the parameters sorted into groups."""

import torch
from timm.optim import create_optimizer_v2, param_groups_weight_decay
from timm.optim.muon import zeropower_via_newtonschulz
from torch import Tensor, nn
from torch.optim import Optimizer

from compactlib.models import CompactTransformer
from compactlib.training.base_recipe import BaseRecipe
from compactlib.training.precision import in_bf16

TIMM_NAMES = {"adamw": "adamw", "sgd": "momentum"}  # timm's "sgd" is Nesterov's
NEWTON_SCHULZ = [(3.4445, -4.7750, 2.0315)]  # coefficients of Jordan et al. 2024, for each of 5 steps


def make_optimizer(model: nn.Module, recipe: BaseRecipe) -> Optimizer:
    """AdamW, SGD or Muon over the model's parameters; norms and biases do not decay."""
    if recipe.optimizer == "muon":
        device = next(model.parameters()).device
        half = device.type != "cpu" or in_bf16(recipe.precision, device)
        return Muon(
            muon_groups(model, recipe), lr=recipe.adamw_lr, weight_decay=0.0, betas=(recipe.momentum, 0.95), fused=True,
            dtype=torch.bfloat16 if half else torch.float32,
        )  # fmt: skip
    kept = getattr(model, "no_weight_decay", set)()
    if isinstance(model, CompactTransformer):
        kept = set()  # the authors' recipe decays positions and class token
    groups = param_groups_weight_decay(model, recipe.weight_decay, no_weight_decay_list=kept)
    return create_optimizer_v2(
        groups, opt=TIMM_NAMES[recipe.optimizer], lr=recipe.lr, weight_decay=0.0, momentum=recipe.momentum, fused=True
    )


class Muon(torch.optim.AdamW):
    """Muon for the groups with `muon=True`, AdamW for the others.

    Muon (Jordan et al. 2024) moves a matrix by the orthogonal matrix that is nearest to its momentum (Nesterov's);
    a convolution's kernel counts as one matrix, output channels by all the rest. The orthogonal matrix is timm's
    Newton-Schulz iteration. timm's and torch's own Muon run it in bfloat16, which a CPU without such instructions
    emulates at a quarter of the speed; here `dtype` says in what, and equal matrices go through together.
    """

    def __init__(self, params: list[dict], *, dtype: torch.dtype = torch.float32, **adamw):
        super().__init__(params, **adamw)
        self.dtype = dtype

    def step(self) -> None:
        """One update. Parameters that Muon has moved have no gradient afterwards."""
        with torch.no_grad():
            for group in self.param_groups:
                if group.get("muon"):
                    self._orthogonal_step(group)
        super().step()  # passes over parameters without a gradient

    def _orthogonal_step(self, group: dict) -> None:
        alike: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
                state["step"] = torch.tensor(0.0)  # AdamW's state_dict looks for it in every state
            momentum = state["momentum_buffer"]
            state["step"] += 1
            momentum.lerp_(parameter.grad, 1 - group["betas"][0])
            update = parameter.grad.lerp_(momentum, group["betas"][0]).flatten(1)  # (out, in * height * width)
            alike.setdefault(update.shape, []).append((parameter, update))
            parameter.grad = None
        for (rows, columns), pairs in alike.items():
            updates = torch.stack([update for _, update in pairs])
            updates = zeropower_via_newtonschulz(updates, 5, NEWTON_SCHULZ, dtype=self.dtype).to(updates.dtype)
            for (parameter, _), update in zip(pairs, updates, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update.view_as(parameter), alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)


def muon_groups(model: nn.Module, recipe: BaseRecipe) -> list[dict]:
    """Parameters for `Muon`: the hidden layers' matrices and kernels; and for AdamW, at `recipe.adamw_lr`, what decays
    (the head's weights) and what does not (norms, biases, positions and tokens, tables of biases)."""
    head = model.get_classifier() if hasattr(model, "get_classifier") else None
    last = {id(parameter) for parameter in head.parameters()} if isinstance(head, nn.Module) else set()
    hidden, decayed, plain = [], [], []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if parameter.ndim < 2 or name.endswith(("pos_embed", "cls_token", "relative_position_bias_table")):
            plain.append(parameter)
        elif id(parameter) in last or 1 in parameter.shape[:2]:
            decayed.append(parameter)
        else:
            hidden.append(parameter)
    groups = [
        dict(params=hidden, muon=True, lr=recipe.lr, weight_decay=recipe.weight_decay),
        dict(params=decayed, muon=False, weight_decay=recipe.weight_decay),
        dict(params=plain, muon=False),
    ]
    return [group for group in groups if group["params"]]
