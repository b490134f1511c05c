"""Answers lie apart, and are the best that do."""

import numpy as np
import pytest

from nars.search.distinct import best_apart, distance_apart


def apart(points: np.ndarray, space) -> np.ndarray:
    """In how many dimensions of the architecture each two of the points differ: of different points only."""
    architectures, _ = space.split(points)
    distances = (architectures[:, None] != architectures[None]).sum(axis=2)
    return distances[np.triu_indices(len(points), 1)]


def neighbours(space, n: int, seed: int) -> np.ndarray:
    """Distinct points, each one or two dimensions from one before."""
    rng = np.random.default_rng(seed)
    points = [space.sample(1, seed)[0]]
    while len(points) < n:
        point = points[rng.integers(len(points))].copy()
        for column in rng.integers(len(space), size=2):
            point[column] = rng.integers(space.sizes[column])
        points.append(point)
    points = np.array(points)
    return points[np.sort(np.unique(points, axis=0, return_index=True)[1])]


@pytest.mark.parametrize(("name", "distance"), [("fbnetv3_joint", 3), ("tiny_joint", 2)])
def test_the_distance_is_a_tenth_of_the_architecture(request, name, distance):
    assert distance_apart(request.getfixturevalue(name)) == distance


@pytest.mark.parametrize("seed", range(20))
def test_five_answers_are_five_and_the_best_that_lie_apart(joint, seed):
    points = neighbours(joint, 400, seed)
    chosen = best_apart(points, 5, joint)
    assert chosen[0] == 0
    assert len(set(chosen)) == 5
    assert (np.diff(chosen) > 0).all()
    least = distance_apart(joint)
    assert (apart(points[chosen], joint) >= least).all()
    for i in range(chosen[-1]):  # whatever was passed over is too near to a better one
        better = points[chosen[chosen < i]]
        if i not in chosen:
            assert min(apart(np.stack([point, points[i]]), joint)[0] for point in better) < least


def test_others_make_up_the_number_the_farthest_first(tiny_joint):
    space, k = tiny_joint, len(tiny_joint.architecture)
    best = np.zeros(len(space), dtype=np.int16)
    recipe, one, far = best.copy(), best.copy(), best.copy()
    recipe[k] = 1
    one[0] = 1
    far[:4] = 1
    points = np.stack([best, best, recipe, one, far])
    assert best_apart(points, 2, space).tolist() == [0, 4]
    assert best_apart(points, 3, space).tolist() == [0, 3, 4]
    assert best_apart(points, 9, space).tolist() == [0, 2, 3, 4]  # none twice
    assert best_apart(points[:0], 3, space).tolist() == []
