"""The words of the terminal for supernets."""

from typing import TYPE_CHECKING

from rich.console import Console

from nars.reporting.facts.describe import duration

if TYPE_CHECKING:
    from nars.methods.supernet_plan import SupernetPlan  # imports torch


def print_supernet_plan(console: Console, plan: "SupernetPlan") -> None:
    """What a dry run says of a supernet: what is trained, how long that takes, and how much memory."""
    known = f" ({plan.known} of them are done)" if plan.known else ""
    console.print(
        f"The supernet of {plan.weights / 1e6:.1f}M weights would be trained for {plan.epochs} epochs{known}: "
        f"{plan.steps:,} steps of {plan.batch_size} images at {plan.side} px, {duration(plan.steps * plan.seconds)} as "
        f"measured just now ({plan.seconds:.2g} s a step on {plan.device}). In float32 it needs about "
        f"{_size(plan.memory)} of memory: {_size(plan.image_bytes)} of activations for each image of a batch, and "
        "weights, gradients and momenta. Less: method.batch_size, or method.paths=sampled. Then the networks found are "
        "ranked and the best few trained: dry_run=true says how long that takes once the supernet is there."
    )


def _size(number: float) -> str:
    """Bytes as people say them."""
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
