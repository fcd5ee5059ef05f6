"""Matérn 5/2, the covariance that all others here are made of."""

from __future__ import annotations

from typing import Any

import torch


class _Matern(torch.autograd.Function):  # type: ignore[misc]
    """Matérn 5/2 as a function of the squared distance, which unlike the distance has a derivative at 0."""

    @staticmethod
    def forward(ctx: Any, squared: Any) -> Any:
        scaled = (5.0 * squared).sqrt_()
        decay = torch.exp(-scaled)
        ctx.save_for_backward((1.0 + scaled).mul_(decay).mul_(-5.0 / 6.0))
        return (scaled * scaled).div_(3.0).add_(scaled).add_(1.0).mul_(decay)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0] * ctx.saved_tensors[0]


def matern(a: Any, b: Any) -> Any:
    """Matérn 5/2 covariances of the rows of ``a`` and ``b``, which are scaled already, shape ``(n, m)``."""
    cross = torch.addmm((a * a).sum(1, keepdim=True) + (b * b).sum(1), a, b.T, alpha=-2.0)
    return _Matern.apply(cross.clamp_min(0.0))
