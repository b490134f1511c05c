"""Early stopping: after which epoch the ranking is the final one."""

import numpy as np
import pytest

from nars.search.early_stop import correlation_by_epoch, early_stop, kendall_tau, spearman


def curves_with(agreeing, *, n=24, seed=0):
    """Curves (n, epochs) that rank as the last epoch does where `agreeing` says so, and at random elsewhere."""
    rng = np.random.default_rng(seed)
    final = rng.permutation(n) / n
    columns = [final if agrees else rng.permutation(n) / n for agrees in agreeing]
    return 0.2 + 0.5 * np.stack(columns, axis=1)


@pytest.mark.parametrize(
    ("agreeing", "epoch"),
    [
        ([False, False, True, True, True], 3),
        ([True, False, True, True], 3),  # an agreement that does not last is none
        ([True, True, True], 1),
        ([False, True, True], 2),
    ],
)
def test_the_first_epoch_from_which_on_the_ranking_stays(agreeing, epoch):
    stop = early_stop(curves_with(agreeing), 0.92, fewest=12, noise_level=0.15)
    assert (stop.epoch, stop.why_not) == (epoch, None)
    assert stop.correlations == tuple(correlation_by_epoch(curves_with(agreeing)))


@pytest.mark.parametrize("agreeing", [[False, False, True], [True, False, True], [True]])
def test_without_an_earlier_epoch_trainings_run_to_the_end_and_say_so(agreeing):
    stop = early_stop(curves_with(agreeing), 0.92, fewest=12, noise_level=0.15)
    assert stop.epoch == len(agreeing)
    assert stop.why_not == "no earlier epoch ranks the candidates as the last one does"


def test_a_threshold_of_the_correlation_itself_is_reached():
    curves = curves_with([False, True])
    curves[:, 0] = curves[:, 1]
    curves[[0, 1], 0] = curves[[1, 0], 0]  # two change places
    (almost, _) = correlation_by_epoch(curves)
    assert early_stop(curves, almost, fewest=12, noise_level=0.0).epoch == 1
    assert early_stop(curves, almost + 1e-6, fewest=12, noise_level=0.0).epoch == 2


@pytest.mark.parametrize("n", [1, 4, 11])
def test_few_candidates_tell_nothing(n):
    stop = early_stop(curves_with([True, True, True], n=n), 0.92, fewest=12, noise_level=0.0)
    assert (stop.epoch, stop.correlations) == (3, ())
    assert stop.why_not == f"{n} candidate{'s are' if n > 1 else ' is'} too few to tell where (12 are needed)"
    assert early_stop(curves_with([True, True, True], n=12), 0.92, fewest=12, noise_level=0.0).epoch == 1


def test_a_ranking_of_networks_that_have_learnt_nothing_is_none():
    curves = curves_with([True, True, True])
    curves[:, 0] /= 10  # the ranking stays
    assert early_stop(curves, 0.92, fewest=12, noise_level=0.1).epoch == 2
    stop = early_stop(curves, 0.92, fewest=12, noise_level=0.9)
    assert (stop.epoch, stop.why_not) == (3, "half are at chance")
    at_the_level = early_stop(curves, 0.92, fewest=12, noise_level=float(np.median(curves[:, 1])))
    assert at_the_level.epoch == 3


@pytest.mark.parametrize("seed", range(20))
def test_an_epoch_whose_ranking_was_planted_is_found(seed):
    """Noise before the settled epoch, the final ranking from there on."""
    rng = np.random.default_rng(seed)
    candidates, epochs, settled = 30, 12, int(rng.integers(2, 12))
    final = rng.permutation(candidates) / candidates
    curves = np.empty((candidates, epochs))
    for epoch in range(1, epochs + 1):
        shown = rng.permutation(candidates) / candidates if epoch < settled else final
        curves[:, epoch - 1] = shown * (0.5 + 0.5 * epoch / epochs)
    correlations = correlation_by_epoch(curves)
    assert len(correlations) == epochs
    assert correlations[-1] == pytest.approx(1)
    assert early_stop(curves, 0.92, fewest=12, noise_level=0.0).epoch == settled


@pytest.mark.parametrize("seed", range(30))
def test_equal_rankings_with_ties_reach_a_correlation_of_1(seed):
    accuracies = np.random.default_rng(seed).integers(300, 360, size=48) / 360
    curves = np.stack([accuracies / 2, accuracies, accuracies], axis=1)
    assert early_stop(curves, 1.0, fewest=12, noise_level=0.0).epoch == 1


@pytest.mark.parametrize("statistic", [spearman, kendall_tau])
def test_undefined_correlations_are_none(statistic):
    assert statistic(np.array([]), np.array([])) is None
    assert statistic(np.array([1.0]), np.array([1.0])) is None
    assert statistic(np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0])) is None
    assert statistic(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.0, 0.0])) is None


@pytest.mark.parametrize("statistic", [spearman, kendall_tau])
@pytest.mark.parametrize("seed", range(5))
def test_correlations_are_of_ranks(statistic, seed):
    a, b = np.random.default_rng(seed).normal(size=(2, 20))
    assert statistic(a, a**3) == pytest.approx(1)
    assert statistic(a, -np.exp(a)) == pytest.approx(-1)
    assert statistic(a, b) == pytest.approx(statistic(np.argsort(np.argsort(a)), b))
    assert statistic(a, b) == pytest.approx(statistic(b, a))
    assert -1 <= statistic(a, b) <= 1


def test_known_correlations():
    """By hand: ranks 1 2 3 4 against 1 3 2 4 differ by squares of sum 2; one of six pairs is turned round."""
    assert spearman([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert kendall_tau([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx((5 - 1) / 6)
    assert [spearman([1, 2], [7, 5]), kendall_tau([1, 2], [7, 5])] == pytest.approx([-1, -1])


def test_epochs_are_compared_by_spearman_s_correlation():
    """By hand, as above: Kendall's tau would be 2/3 where Spearman's correlation is 0.8."""
    curves = np.array([[0.1, 1.0], [0.3, 2.0], [0.2, 3.0], [0.4, 4.0]])
    assert correlation_by_epoch(curves) == pytest.approx([0.8, 1.0])


def test_epochs_at_which_all_are_equal_have_no_correlation():
    curves = np.array([[0.1, 0.1, 0.3], [0.1, 0.2, 0.4], [0.1, 0.3, 0.5]])
    assert correlation_by_epoch(curves) == [None, pytest.approx(1), pytest.approx(1)]
