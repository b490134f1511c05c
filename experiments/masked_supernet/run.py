"""What FBNetV2's masks cost and how exact they are: memory, time, scores of sliced networks, expected costs."""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import nn

from experiments.tables import markdown_table, write_found
from nars.costs.pricing import AS_PUBLISHED
from nars.costs.statistics import costs
from nars.methods.supernet_plan import bytes_of_image
from nars.networks.build import build_network
from nars.settings import ArchitectureSpaceSettings, parse
from nars.spaces.architecture import ArchitectureSpace
from nars.supernet.contract import one_hot
from nars.supernet.effective import EffectiveCosts
from nars.supernet.expected import ExpectedCosts
from nars.supernet.masked import MaskedSupernet
from nars.supernet.sampling import gumbel_softmax, probabilities_of
from nars.supernet.slicing import sliced

ROOT = Path(__file__).parents[2]
WIDTHS = {1: [112], 4: [28, 56, 84, 112], 14: [*range(8, 113, 8)]}
IMAGES = 32
NAMES = ("macs", "params")


def space_of(values: dict) -> ArchitectureSpace:
    """The space of plain settings."""
    return ArchitectureSpace(parse(ArchitectureSpaceSettings, values))


def named(name: str) -> ArchitectureSpace:
    """The space of conf/search_space."""
    return space_of(OmegaConf.to_container(OmegaConf.load(ROOT / f"conf/search_space/{name}.yaml")))


def of_widths(widths: Sequence[int]) -> ArchitectureSpace:
    """Four blocks on maps of 28 pixels, each of any of these widths."""
    block = {"width": [*widths], "kernel": 3, "expansion": 3, "se": "expanded"}
    stages = [{"stride": 2, "blocks": [block] * 4}]
    head = {"conv": 128}
    return space_of({"name": "widths", "resolution": 112, "stem_width": 16, "stages": stages, "head": head})


def memory() -> str:
    """MiB that the backward pass keeps, by number of options: masked, and with a block for each option."""

    def mib(widths: Sequence[int]) -> float:
        return bytes_of_image(MaskedSupernet(of_widths(widths), num_classes=10), 112) * IMAGES / 2**20

    rows = []
    for n, widths in WIDTHS.items():
        rows.append([n, f"{mib(widths):.1f}", f"{sum(mib([width]) for width in widths):.1f}"])
    return markdown_table(["widths to choose among", "masked, MiB", "a block for each, MiB"], rows)


def seconds(step: Callable[[], object], repeats: int = 9) -> float:
    """CPU seconds of a step on this thread: the least of some."""
    times = []
    for _ in range(repeats):
        started = time.thread_time()
        step()
        times.append(time.thread_time() - started)
    return min(times)


def speed() -> str:
    """CPU seconds of a step of four blocks against the plain network of the largest width."""
    images = torch.randn(8, 3, 112, 112)
    space = of_widths([112])
    plain = build_network(space.architecture(space.sample(1, 0)[0]), num_classes=10)
    one = seconds(lambda: plain(images).sum().backward())
    rows = [["the plain network", f"{1000 * one:.0f}", "1.00"]]
    for n, widths in WIDTHS.items():
        supernet = MaskedSupernet(of_widths(widths), num_classes=10)
        taken = seconds(lambda net=supernet: net(images, probabilities_of(net.theta)).sum().backward())
        rows.append([f"masked, widths to choose among: {n}", f"{1000 * taken:.0f}", f"{taken / one:.2f}"])
    return markdown_table(["step of 8 images", "CPU ms", "ratio"], rows)


def calibrated(supernet: MaskedSupernet, images: torch.Tensor, mixture: Mapping[str, torch.Tensor]) -> MaskedSupernet:
    """The supernet in evaluation, with batch norm's statistics of these images under a mixture, as it is ranked."""
    for norm in supernet.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.reset_running_stats()
            norm.momentum = None
    with torch.no_grad():
        supernet.train()(images, mixture)
    return supernet.eval()


def exactness(n: int) -> str:
    """The largest difference between scores of the masked supernet and of the networks sliced from it, in float32."""
    rows = []
    for name, sides in (("fbnetv2_digits", [32, 40]), ("fbnetv2", [*range(32, 73, 8)])):
        space = named(name)
        torch.manual_seed(0)
        images = torch.randn(16, 3, max(sides), max(sides))
        supernet = MaskedSupernet(space, num_classes=10, sides=sides)
        largest, scores = 0.0, []
        for point in space.sample(n, seed=0):
            side = sides[int(point[space.position("resolution")])]
            taken = torch.arange(side) * images.shape[-1] // side
            mixture = one_hot(space, point)
            calibrated(supernet, images, mixture)
            with torch.no_grad():
                masked = supernet(images, mixture)
                own = sliced(supernet, point)(images[:, :, taken][:, :, :, taken])
            assert torch.isfinite(masked).all()
            largest = max(largest, float((masked - own).abs().max()))
            scores.append(float(own.std()))
        rows.append([name, n, f"{largest:.1e}", f"{np.mean(scores):.2f}"])
    return markdown_table(["space", "architectures", "largest difference of a score", "scores' deviation"], rows)


def bias(n: int) -> str:
    """Costs on effective sizes, and of soft mixtures, next to the mean over the architectures that theta draws."""
    rng, rows = np.random.default_rng(0), []
    space = named("fbnetv2")
    expected, effective = (kind(space, NAMES, AS_PUBLISHED) for kind in (ExpectedCosts, EffectiveCosts))
    for scale, decided in ((0.0, "nothing decided"), (2.0, "half decided"), (6.0, "decided")):
        theta = {d.name: torch.tensor(scale * rng.normal(size=len(d.choices))) for d in space.dimensions}
        probabilities = probabilities_of(theta)
        points = [rng.choice(len(d.choices), size=n, p=_row(probabilities[d.name])) for d in space.dimensions]
        mean = costs(space, np.stack(points, axis=1).astype(np.int16), NAMES, AS_PUBLISHED).mean(axis=0)
        cells = [_percent(expected(probabilities), mean), _percent(effective(probabilities), mean)]
        for temperature in (5.0, 1.0, 0.1):
            generator = torch.Generator().manual_seed(0)
            soft = [
                expected({name: gumbel_softmax(logits, temperature, generator) for name, logits in theta.items()})
                for _ in range(200)
            ]
            cells.append(_percent(torch.stack(soft).mean(dim=0), mean))
        rows.append([decided, *cells])
    header = ["theta", "exact expectation", "effective sizes", *(f"soft masks, tau {t}" for t in (5, 1, 0.1))]
    return markdown_table(header, rows)


def _row(probabilities: torch.Tensor) -> np.ndarray:
    row = probabilities.double().numpy()
    return row / row.sum()


def _percent(found: torch.Tensor, mean: np.ndarray) -> str:
    return " / ".join(f"{100 * (value / of - 1):+.1f} %" for value, of in zip(found.tolist(), mean, strict=True))


def main() -> None:
    """Write all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architectures", type=int, default=50)
    parser.add_argument("--drawn", type=int, default=200_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    parts = {
        f"Memory of a step of {IMAGES} images through four blocks of up to 112 channels at 28 pixels:": memory(),
        "Time of a step, one thread:": speed(),
        "Scores of the supernet for a decided mixture against those of the network sliced from it:": exactness(
            arguments.architectures
        ),
        "MACs / parameters of `fbnetv2` against the mean over 200,000 architectures that theta draws:": bias(
            arguments.drawn
        ),
    }
    write_found(__file__, "\n\n".join(f"{title}\n\n{table}" for title, table in parts.items()))


if __name__ == "__main__":
    main()
