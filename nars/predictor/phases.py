"""The phases of learning: minibatch AdamW on part of a network.

A plain loop: a fit takes about a thousand steps of a millisecond, of which a Lightning Trainer would take two more.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Loss = Callable[..., Tensor]  # (network, x, targets, ...) -> scalar


@dataclass(frozen=True, kw_only=True)
class Batches:
    """All rows of `tensors`, each (n, ...), once an epoch; their order comes from `generator` alone."""

    tensors: tuple[Tensor, ...]
    batch_size: int
    generator: torch.Generator

    def __len__(self) -> int:
        return -(-len(self.tensors[0]) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        order = torch.randperm(len(self.tensors[0]), generator=self.generator)
        for rows in order.split(self.batch_size):
            yield tuple(tensor[rows] for tensor in self.tensors)


def minimise(
    loss: Loss,
    network: nn.Module,
    parameters: list[nn.Parameter],
    batches: Batches,
    *,
    epochs: int,
    lr: float,
    weight_decay: float,
    decay: bool,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Minimise `loss(network, *batch)` over `parameters`; if `decay`, lr falls to 0 along a cosine.

    `progress` is told the fraction done after each epoch.
    """
    with one_thread(), frozen({p for p in network.parameters() if p.requires_grad} - set(parameters)):
        optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=True)
        schedules = torch.optim.lr_scheduler
        schedule = (
            schedules.CosineAnnealingLR(optimizer, epochs * len(batches))
            if decay
            else schedules.ConstantLR(optimizer, factor=1.0)
        )
        network.train()
        for epoch in range(1, epochs + 1):
            for batch in batches:
                optimizer.zero_grad()
                loss(network, *batch).backward()
                optimizer.step()
                schedule.step()
            if progress is not None:
                progress(epoch / epochs)


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside the block: steps this small gain nothing from more, and on a busy machine lose a lot."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def frozen(parameters: set[nn.Parameter]) -> Iterator[None]:
    """No gradients for `parameters` inside the block."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
