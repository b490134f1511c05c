"""How fast one constraint is answered: evolution against pymoo's GA and the bare predictor; and a pool of a million."""

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.core.problem import ElementwiseProblem, Problem
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize

from experiments.tables import markdown_table, write_found
from experiments.threads import check_one_thread, use_one_thread
from nars.costs.constraint import Constraint
from nars.costs.statistics import costs
from nars.predictor.predictor import Predictor
from nars.search.evolution import Evolution, evolve
from nars.search.pool import sample_pool
from nars.settings import (
    ArchitectureSpaceSettings,
    ConstraintSettings,
    EvolutionSettings,
    PredictorSettings,
    RecipeSpaceSettings,
    WindowSettings,
    parse,
)
from nars.spaces.architecture import ArchitectureSpace
from nars.spaces.candidate import JointSpace
from nars.spaces.recipe import recipe_space

ROOT = Path(__file__).parents[2]
RECORDS = 192  # four rounds of 48
NAMES = ("macs", "params")
WARM = 3  # times that what takes seconds is done: the quickest counts


@dataclass(kw_only=True)
class Counted:
    """A function of points that counts the points, and the CPU seconds it took."""

    function: Callable[[np.ndarray], np.ndarray]
    points: int = 0
    seconds: float = 0.0

    def __call__(self, points: np.ndarray) -> np.ndarray:
        begin = time.thread_time()  # of the process it would take up to a millisecond, which is what is measured
        values = self.function(points)
        self.seconds += time.thread_time() - begin
        self.points += len(points)
        return values


def fbnetv3_space() -> JointSpace:
    """The default spaces."""
    search, recipe = (
        yaml.safe_load((ROOT / f"conf/{g}/fbnetv3.yaml").read_text()) for g in ("search_space", "recipe_space")
    )
    return JointSpace(
        ArchitectureSpace(parse(ArchitectureSpaceSettings, search, where="search_space")),
        recipe_space(parse(RecipeSpaceSettings, recipe, where="recipe_space")),
    )


def fitted_predictor(space: JointSpace, price: Callable, head: str) -> Predictor:
    """The default predictor, briefly pretrained, fitted to made-up accuracies that rise and level off with the MACs."""
    settings = PredictorSettings(head=head)
    settings = settings.model_copy(update={"pretrain": settings.pretrain.model_copy(update={"epochs": 3})})
    predictor = Predictor(
        settings,
        architecture_columns=space.architecture.columns,
        recipe_columns=space.recipe.columns,
        statistics=NAMES,
        specification=space.specification,
        seed=0,
    )
    points = space.sample(4000, 0)
    predictor.pretrain(space.architecture.encode(space.split(points)[0]), price(points))
    points, prices = sample_pool(space, price, Constraint.of(WindowSettings(), NAMES), RECORDS, 0)
    rng = np.random.default_rng(0)
    x = space.encode(points)
    accuracy = 0.8 - 20e6 / prices[:, 0] - 0.02 * np.square(x - rng.random(x.shape[1])).mean(axis=1)
    predictor.fit(x, accuracy + rng.normal(scale=0.002, size=len(x)))
    return predictor


def ours(space: JointSpace, score: Callable, feasible: Callable) -> Evolution:
    """One constraint by evolution, nothing known to start from."""
    return evolve(score, feasible, space, EvolutionSettings(), np.random.default_rng(0), np.empty((0, len(space))))


def pymoos(space: JointSpace, score: Callable, excess: Callable, evaluations: int, *, one_by_one: bool) -> float:
    """Best feasible score of pymoo's GA with evolution's sizes, after `evaluations` points.

    Operators as its documentation has them for integers. pymoo scores infeasible points too. `one_by_one` gives
    the points one at a time, as its ElementwiseProblem does.
    """
    settings = EvolutionSettings()

    def evaluate(points: np.ndarray, out: dict) -> None:
        points = np.atleast_2d(points).astype(np.int16)
        out["F"], out["G"] = -score(points), excess(points)

    base = ElementwiseProblem if one_by_one else Problem

    class ByScore(base):
        def _evaluate(self, x, out, *args, **kwargs):
            evaluate(x, out)

    algorithm = GA(
        pop_size=settings.survivors,
        n_offsprings=settings.survivors * settings.children,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    problem = ByScore(n_var=len(space), n_obj=1, n_ieq_constr=1, xl=0, xu=space.sizes - 1, vtype=int)
    result = minimize(problem, algorithm, ("n_eval", evaluations), seed=0)
    return float("nan") if result.F is None else -float(result.F[0])


def timed(function: Callable, *, times: int = 1):
    """(wall seconds, CPU seconds, result) of the quickest of `times` calls: the first one also warms up."""
    calls = []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        result = function()
        calls.append((time.perf_counter() - wall, time.process_time() - cpu, result))
        check_one_thread(*calls[-1][:2])
    return min(calls, key=lambda call: call[1])


def pool_table(space: JointSpace, predictor: Predictor, n: int, price: Callable) -> str:
    """Wall and CPU seconds of each step for a pool of `n`, and the peak memory of the process so far."""
    window = Constraint.of(WindowSettings(), NAMES)
    steps, parts = {}, {}

    def step(name: str, function: Callable) -> None:
        *steps[name], parts[name] = timed(function)

    step("sample", lambda: space.sample(n, 0))
    step("price", lambda: price(parts["sample"]))
    step("filter", lambda: parts["sample"][window.feasible(parts["price"])])
    step("encode", lambda: space.encode(parts["sample"]))
    step("score", lambda: predictor.predict(parts["encode"]))
    steps["all"] = [sum(step[i] for step in steps.values()) for i in range(2)]
    rows = [[name, f"{wall:.1f}", f"{cpu:.1f}"] for name, (wall, cpu) in steps.items()]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    title = f"A pool of {n:,} points, {len(parts['filter']):,} of them inside the window; peak memory {peak:.2f} GiB:"
    return f"{title}\n\n{markdown_table(['step', 'wall s', 'CPU s'], rows)}"


def search_table(space: JointSpace, predictor: Predictor, price: Callable, constraint: Constraint) -> str:
    """Evolution, pymoo twice and the bare forward: points scored, seconds, points per second, best score."""

    def score(points):
        return predictor.predict(space.encode(points))

    def excess(points):
        return price(points)[:, 0] - constraint.high[0]

    def evolution():
        counted, priced = Counted(function=score), Counted(function=lambda points: constraint.feasible(price(points)))
        return ours(space, counted, priced), counted, priced

    def pymoo(one_by_one):
        counted = Counted(function=score)
        return pymoos(space, counted, excess, answer.evaluated, one_by_one=one_by_one), counted.points

    wall, cpu, (answer, counted, priced) = timed(evolution, times=WARM)
    rows = [["evolution", counted.points, wall, cpu, answer.scores[0]]]
    wall, cpu, (best, points) = timed(lambda: pymoo(False), times=WARM)
    rows.append(["pymoo GA, a generation at a time", points, wall, cpu, best])
    wall, cpu, (best, points) = timed(lambda: pymoo(True))
    rows.append(["pymoo GA, one point at a time", points, wall, cpu, best])
    x = space.encode(space.sample(2**17, 1))
    wall, cpu, _ = timed(lambda: predictor.predict(x), times=WARM)
    rows.append(["predictor alone, one batch", len(x), wall, cpu, np.nan])
    rate = rows[0][1] / rows[0][3]
    table = markdown_table(
        ["way", "points scored", "wall s", "CPU s", "scored per CPU s", "evolution is faster by", "best score"],
        [
            [
                way,
                f"{points:,}",
                f"{wall:.2f}",
                f"{cpu:.2f}",
                f"{points / cpu:,.0f}",
                f"{rate / (points / cpu):.2f}",
                "" if np.isnan(best) else f"{best:.5f}",
            ]
            for way, points, wall, cpu, best in rows
        ],
    )
    shares = [f"predicting {counted.seconds / rows[0][3]:.0%}", f"pricing {priced.seconds / rows[0][3]:.0%}"]
    return f"{table}\n\nEvolution's CPU time: {', '.join(shares)} ({priced.points:,} points priced)."


def main() -> None:
    """Write the tables into README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=int, default=1_000_000)
    parser.add_argument("--max-macs", type=float, default=600e6)
    arguments = parser.parse_args()
    use_one_thread()
    space = fbnetv3_space()
    constraint = Constraint.of(ConstraintSettings(max_macs=arguments.max_macs), NAMES)

    def price(points):
        return costs(space.architecture, space.split(points)[0], NAMES)

    found = []
    for head in ("network", "blend"):
        predictor = fitted_predictor(space, price, head)
        found += [
            f"Predictor with head={head}, fitted to {RECORDS} records; at most {arguments.max_macs / 1e6:.0f} M MACs:",
            search_table(space, predictor, price, constraint),
        ]
    found.append(pool_table(space, predictor, arguments.pool, price))
    write_found(__file__, "\n\n".join(found))


if __name__ == "__main__":
    main()
