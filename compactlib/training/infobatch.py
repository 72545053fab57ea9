"""Passes that leave out images which the model knows already, without a bias of the gradient."""

import torch
from torch import Tensor, nn


class InfoBatch(nn.Module):
    """Which images a pass leaves out, and what the others weigh.

    Of the images whose last loss was below the mean of all, a pass leaves out each with the probability `prune`; those
    that stay weigh 1 / (1 - prune) times as much. So the expected loss of a pass is the mean over all images, but most
    of its steps go to images from which there is something to learn. An image without a loss yet is never left out.

    A module for its state: the last losses and the number of passes, which a checkpoint must hold. Source: Qin et al.
    2024, "InfoBatch: Lossless training speed up by unbiased dynamic data pruning" (arXiv 2303.04947).

    Args:
        count: images of the training set.
        prune: the probability, from 0 to below 1.
    """

    def __init__(self, count: int, prune: float, device: torch.device):
        super().__init__()
        self.prune = prune
        self.active = True  # False: passes are whole
        self.register_buffer("losses", torch.full((count,), torch.nan, device=device))
        self.register_buffer("passes", torch.tensor(0))  # on the CPU, where it is asked for with every batch
        self.register_buffer("weights", torch.ones(count, device=device), persistent=False)

    def draw(self) -> Tensor:
        """The images of the next pass in random order, int64 (m,)."""
        self.passes += 1
        easy = self.losses < self.losses.nanmean() if self.active else torch.zeros_like(self.losses, dtype=torch.bool)
        left_out = easy & (torch.rand_like(self.losses) < self.prune)
        chosen = (~left_out).nonzero().squeeze(1)
        share = len(chosen) / len(easy)  # without it, a pass of fewer images would have a larger mean
        self.weights = torch.where(easy, share / (1 - self.prune), share)
        return chosen[torch.randperm(len(chosen)).to(chosen.device)]

    def weigh(self, losses: Tensor, indices: Tensor) -> Tensor:
        """The weighted mean of a batch's losses (b,), of the images `indices` (b,); it takes note of them."""
        self.losses[indices] = losses.detach().float()
        return (losses * self.weights[indices]).mean()
