"""How many architectures a second are priced, next to building each network and counting with fvcore, in one run."""

import argparse
import logging
import time
from pathlib import Path

import torch
from fvcore.nn import FlopCountAnalysis
from omegaconf import OmegaConf

from experiments.threads import use_one_thread
from nars.costs.statistics import costs
from nars.networks.build import build_network
from nars.settings import ArchitectureSpaceSettings, parse
from nars.spaces.architecture import ArchitectureSpace

ROOT = Path(__file__).parents[2]


def fvcore_costs(space: ArchitectureSpace, point) -> tuple[int, int]:
    """MACs (convolution and linear) and parameters of the built network."""
    architecture = space.architecture(point)
    network = build_network(architecture, num_classes=1000).eval()
    side = architecture.resolution
    counts = FlopCountAnalysis(network, torch.zeros(1, 3, side, side))
    counts.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    by_operator = counts.by_operator()
    return by_operator["conv"] + by_operator["linear"], sum(p.numel() for p in network.parameters())


def main() -> None:
    """Print one markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architectures", type=int, default=500_000)
    parser.add_argument("--built", type=int, default=5, help="how many of them are also built and counted")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    use_one_thread()
    config = OmegaConf.to_container(OmegaConf.load(ROOT / "conf/search_space/fbnetv3.yaml"))
    space = ArchitectureSpace(parse(ArchitectureSpaceSettings, config, where="search_space"))
    points = space.sample(arguments.architectures, seed=0)

    start = time.process_time()
    priced = costs(space, points, ("macs", "params"))
    vectorised = len(points) / (time.process_time() - start)

    start = time.process_time()
    counted = [fvcore_costs(space, point) for point in points[: arguments.built]]
    built = arguments.built / (time.process_time() - start)

    exact = all(tuple(row) == count for row, count in zip(priced, counted, strict=False))
    print("| way | architectures per CPU second | ratio |")
    print("|---|---|---|")
    print(f"| build and count with fvcore | {built:,.2f} | 1 |")
    print(f"| nars.costs | {vectorised:,.0f} | {vectorised / built:,.0f} |")
    print(f"\nequal on the {arguments.built} built ones: {exact}")


if __name__ == "__main__":
    main()
