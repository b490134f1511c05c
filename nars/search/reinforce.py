"""REINFORCE as a strategy of the search: a policy over all dimensions that learns from rewards (Zoph and Le 2017)."""

import numpy as np
from scipy.special import log_softmax

from nars.search.pool import AxisCost, Feasible, Pool, new_points, topped_up
from nars.settings import ReinforceSettings
from nars.spaces.space import Space

ATTEMPTS = 100  # draws from the policy until a batch is new and feasible
DRAWN = 32  # points of each draw for every one that is missing
SMALLEST_SPREAD = 1e-6  # of rewards: what differs by less teaches hardly anything


class Reinforce:
    """A distribution over the choices of each dimension, moved towards what was rewarded above the average.

    The reward is the accuracy, times (cost / highest cost of the pool)^`cost_exponent`: 0 leaves the limits to what is
    feasible (a hard mask), MnasNet's -0.07 prefers cheaper candidates softly (Tan et al. 2019). After every
    `update_every` trainings the policy takes `steps` steps of clipped policy gradient on them (PPO, Schulman et al.
    2017), with an entropy bonus, against a moving average of the rewards before.

    The policy is replayed from the trainings each time, so nothing is kept between rounds.
    """

    def __init__(
        self, settings: ReinforceSettings, space: Space, pool: Pool, feasible: Feasible, cost: AxisCost, *, seed: int
    ):
        self.settings = settings
        self.space = space
        self.pool = pool
        self.feasible = feasible
        self.cost = cost
        self.seed = seed
        self._offered = np.arange(space.sizes.max()) < space.sizes[:, None]

    def choose(
        self, n: int, points: np.ndarray, accuracies: np.ndarray, seconds: np.ndarray | None = None
    ) -> np.ndarray:
        """See `Strategy`."""
        rng = np.random.default_rng([self.seed, len(points)])
        first = self.settings.update_every - len(points)  # the policy is uniform until it learns
        chosen = self.pool.random(min(n, max(0, first)), points, rng)
        logits = self.policy(points, accuracies)
        for _ in range(ATTEMPTS):
            missing = n - len(chosen)
            if not missing:
                break
            drawn = self._drawn(logits, DRAWN * missing, rng)
            chosen = np.concatenate([chosen, new_points(drawn[self.feasible(drawn)], points, chosen)[:missing]])
        return topped_up(chosen, n, points, self.pool, rng)

    def policy(self, points: np.ndarray, accuracies: np.ndarray) -> np.ndarray:
        """Logits float64 (d, most choices) after trainings of points (k, d), nan where one failed; -inf where a
        dimension has fewer choices. What does not yet fill an update waits."""
        known = np.isfinite(accuracies)
        points, rewards = points[known], self._rewards(points[known], accuracies[known])
        logits, every, baseline = np.where(self._offered, 0.0, -np.inf), self.settings.update_every, None
        for start in range(0, len(points) - every + 1, every):
            batch = rewards[start : start + every]
            baseline = batch.mean() if baseline is None else baseline
            spread = rewards[: start + every].std()  # of all so far: a batch of equals would make too much of nothing
            advantages = (batch - baseline) / max(spread, SMALLEST_SPREAD)
            logits = self._improved(logits, points[start : start + every], advantages)
            decay = self.settings.baseline_decay
            baseline = decay * baseline + (1 - decay) * batch.mean()
        return logits

    def _rewards(self, points: np.ndarray, accuracies: np.ndarray) -> np.ndarray:
        if not self.settings.cost_exponent or not len(points):
            return accuracies
        return accuracies * (self.cost(points) / self.pool.costs.max()) ** self.settings.cost_exponent

    def _improved(self, logits: np.ndarray, points: np.ndarray, advantages: np.ndarray) -> np.ndarray:
        """Logits after the steps on points (b, d) of these advantages (b,), which were drawn by `logits`."""
        taken = points[:, :, None] == np.arange(logits.shape[1])  # (b, d, choices)
        before = log_softmax(logits, axis=1)
        for _ in range(self.settings.steps):
            now = log_softmax(logits, axis=1)
            chances = np.exp(now)
            # (b, d): each dimension is a policy of its own, clipped by itself
            ratio = np.exp(np.subtract(now, before, where=taken, out=np.zeros(taken.shape)).sum(axis=2))
            outside = np.where(advantages[:, None] > 0, ratio > 1 + self.settings.clip, ratio < 1 - self.settings.clip)
            weight = np.where(outside, 0.0, ratio * advantages[:, None]) / len(points)
            gradient = (weight[:, :, None] * (taken - chances)).sum(axis=0)
            surprise = np.negative(now, where=self._offered, out=np.zeros(now.shape))
            entropy = (chances * surprise).sum(axis=1, keepdims=True)
            gradient += self.settings.entropy_bonus * chances * (surprise - entropy)
            logits = np.where(self._offered, logits + self.settings.lr * gradient, -np.inf)
        return logits

    def _drawn(self, logits: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Points int16 (n, d) of the policy, drawn by the Gumbel trick."""
        return (logits + rng.gumbel(size=(n, *logits.shape))).argmax(axis=2).astype(np.int16)
