"""Muon for the weight matrices, AdamW for the rest: faster than AdamW alone on this model."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from training.parallel import Workers

FIRST_AND_LAST = ("embedding", "conv_in", "conv_out", "quant_conv")


def orthogonalised(update: Tensor, rounds: int = 4) -> Tensor:
    """The nearest matrix, roughly, whose singular values are all one: a few Newton-Schulz rounds on (m, n)."""
    wide = update.T if update.shape[0] > update.shape[1] else update
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(rounds):
        square = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(square, square, square, beta=-4.7750, alpha=2.0315), wide, beta=3.4445)
    return wide.T if update.shape[0] > update.shape[1] else wide


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised, scaled to AdamW's usual step size. The processes share the work."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, workers: Workers, momentum: float = 0.95) -> None:
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum, "weight_decay": 0.01})
        self._workers = workers

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step on the parameters' gradients."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            owners = self._workers.share_out([p.numel() for p in parameters])
            updates = []
            for parameter, owner in zip(parameters, owners, strict=True):
                looking_ahead = self._momentum(parameter, group["momentum"])
                mine = owner == self._workers.rank
                updates.append(self._update(looking_ahead) if mine else torch.zeros_like(looking_ahead))
            self._workers.add_up(updates)
            for parameter, update in zip(parameters, updates, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update.view(parameter.shape), alpha=-group["lr"])

    def _momentum(self, parameter: Tensor, momentum: float) -> Tensor:
        """The gradient with Nesterov momentum, as a matrix of one row per output."""
        gradient = parameter.grad
        if gradient is None:
            raise ValueError("a parameter without a gradient has no momentum")
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        velocity: Tensor = state["momentum"].lerp_(gradient, 1 - momentum)
        return torch.lerp(gradient, velocity, momentum).reshape(parameter.shape[0], -1)

    @staticmethod
    def _update(gradient: Tensor) -> Tensor:
        """The matrix to subtract, before the learning rate."""
        return orthogonalised(gradient) * (0.2 * max(gradient.shape) ** 0.5)


def optimisers_for(
    modules: nn.Module, muon_rate: float, adam_rate: float, workers: Workers
) -> list[torch.optim.Optimizer]:
    """Both optimisers over everything that is to be trained; each group remembers its full rate as ``peak``."""
    trained = [(name, p) for name, p in modules.named_parameters() if p.requires_grad]
    matrices = [p for name, p in trained if p.ndim >= 2 and not any(part in name for part in FIRST_AND_LAST)]
    chosen = {id(p) for p in matrices}
    rest = [p for _, p in trained if id(p) not in chosen]
    both = [
        Muon(matrices, muon_rate, workers),
        torch.optim.AdamW(rest, lr=adam_rate, betas=(0.9, 0.99), weight_decay=0.0, foreach=True),
    ]
    for optimiser in both:
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return both
