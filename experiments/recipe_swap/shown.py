"""Tables and the heat map of every network with every recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from experiments.tables import markdown_table, write_found
from nars.reporting.facts.describe import recipe_line
from nars.search.early_stop import kendall_tau

FIGURE = Path(__file__).with_name("recipe_swap.png")
NOT_SEARCHED = ("middle", "timm's default")  # names of recipes


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The accuracy of a network that was trained with a recipe, which is called as the network that it was searched
    for, or as one of `NOT_SEARCHED`."""

    network: str
    recipe: str
    seed: int
    accuracy: float


def write(found: Sequence[Trained], networks: Sequence[str], recipes: Mapping[str, dict]) -> None:
    """All into the README and the figure beside it; of a single network what its own recipe gains."""
    parts = ["### Its own recipe against those that nobody searched", own_table(found, networks)]
    if len(networks) > 1:
        matrix = means(found, networks, tuple(recipes))
        draw(matrix, networks, tuple(recipes))
        parts += [
            "### Every network with every recipe",
            f"![Accuracy of every network with every recipe; the diagonal is framed]({FIGURE.name})",
            matrix_table(matrix, networks, tuple(recipes)),
            swap_words(matrix, networks),
        ]
    rows = [[name, recipe_line(recipe)] for name, recipe in recipes.items()]
    parts += ["### The recipes", markdown_table(["searched for", "recipe"], rows)]
    write_found(str(FIGURE.with_name("run.py")), "\n\n".join(parts))


def means(found: Sequence[Trained], networks: Sequence[str], recipes: Sequence[str]) -> np.ndarray:
    """Accuracies (networks, recipes), of the seeds that all cells have."""
    seeds = set.intersection(*(set(_by_seed(found, n, r)) for n in networks for r in recipes))
    return np.array([[np.mean([_by_seed(found, n, r)[s] for s in seeds]) for r in recipes] for n in networks])


def _by_seed(found: Sequence[Trained], network: str, recipe: str) -> dict:
    return {one.seed: one.accuracy for one in found if (one.network, one.recipe) == (network, recipe)}


def own_table(found: Sequence[Trained], networks: Sequence[str]) -> str:
    """A row per network: means over seeds, and what the own recipe gains, seed by seed."""
    rows = []
    for network in networks:
        own, *others = ([*_by_seed(found, network, recipe).values()] for recipe in (network, *NOT_SEARCHED))
        gains = [np.subtract(own, other) for other in others]
        rows.append([network, len(own), *map(_spread, (own, *others)), *(_spread(gain, "+") for gain in gains)])
    header = ["network", "seeds", "its own", *NOT_SEARCHED, *(f"gain over {name}" for name in NOT_SEARCHED)]
    return markdown_table(header, rows)


def _spread(values: Sequence[float], sign: str = "") -> str:
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):{sign}.3f}{spread}"


def matrix_table(matrix: np.ndarray, networks: Sequence[str], recipes: Sequence[str]) -> str:
    """A row per network, a column per recipe; its own is set in bold."""
    rows = []
    for network, accuracies in zip(networks, matrix, strict=True):
        cells = [f"{accuracy:.3f}" for accuracy in accuracies]
        rows.append([network, *(f"**{c}**" if r == network else c for r, c in zip(recipes, cells, strict=True))])
    return markdown_table(["network with the recipe of", *recipes], rows)


def swap_words(matrix: np.ndarray, networks: Sequence[str]) -> str:
    """What is lost with another network's recipe, and whether recipes rank the networks alike."""
    k = len(networks)
    searched = matrix[:, :k]
    lost = (np.diag(searched)[:, None] - searched)[~np.eye(k, dtype=bool)]
    best = int(np.sum(np.diag(searched) >= searched.max(axis=1)))
    taus = [kendall_tau(matrix[:, a], matrix[:, b]) for a, b in combinations(range(matrix.shape[1]), 2)]
    taus = [tau for tau in taus if tau is not None] or [np.nan]
    return (
        f"With the recipe of another network a network loses {lost.mean():+.3f} on average ({lost.min():+.3f} to "
        f"{lost.max():+.3f}), and {best} of {k} are nowhere better than with their own. Kendall tau of the networks "
        f"between two recipes: {np.mean(taus):.2f} on average, {min(taus):.2f} to {max(taus):.2f}."
    )


def draw(matrix: np.ndarray, networks: Sequence[str], recipes: Sequence[str]) -> None:
    """The heat map: each row against its own mean, since networks differ more than recipes do."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(1.3 * len(recipes) + 3, 0.9 * len(networks) + 2.2), layout="constrained")
    relative = matrix - matrix.mean(axis=1, keepdims=True)
    limit = np.abs(relative).max() or 1.0
    image = axes.imshow(relative, cmap="RdBu", vmin=-limit, vmax=limit)
    for row, accuracies in enumerate(matrix):
        for column, accuracy in enumerate(accuracies):
            colour = "white" if abs(relative[row, column]) > 0.6 * limit else "black"
            axes.text(column, row, f"{accuracy:.3f}", ha="center", va="center", color=colour)
        axes.add_patch(plt.Rectangle((row - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=2.5))
    axes.set_xticks(range(len(recipes)), [name.removeprefix("timm:") for name in recipes], rotation=30, ha="right")
    axes.set_yticks(range(len(networks)), [name.removeprefix("timm:") for name in networks])
    axes.set(xlabel="recipe searched for", ylabel="network")
    figure.colorbar(image, label="accuracy, less the mean of the row")
    figure.savefig(FIGURE, dpi=80)
    plt.close(figure)
