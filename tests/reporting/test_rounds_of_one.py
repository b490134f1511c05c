"""What is printed and drawn of rounds of one candidate, of which some fail."""

import io

import pytest
from rich.console import Console

from nars.reporting.facts.sections import sections_of
from nars.reporting.page.figures.accuracy import accuracy_against_cost, predicted_against_measured
from nars.reporting.page.figures.curves import learning_curves
from nars.reporting.page.report import html_of
from nars.reporting.screen.setup import Images, print_search_setup
from nars.reporting.screen.terminal import print_round
from nars.study.folder import read_study


@pytest.fixture
def maker(tiny_maker):
    """Of 30 trainings in 29 rounds; the 29th fails."""
    return tiny_maker("strategy.rounds=29", "strategy.first_batch=2", "strategy.batch=1", "constraint.max_macs=2e6")


def printed(maker, done, history) -> str:
    output = io.StringIO()
    print_round(Console(file=output, width=200), done, history, maker.constraint)
    return output.getvalue()


def test_a_round_of_one_has_one_accuracy_and_no_tau(maker):
    history = maker.run_rounds()
    [record], epoch = history.rounds[5].records, history.epoch
    text = printed(maker, history.rounds[5], history)
    first, *_ = text.splitlines()
    assert first == f"round 6: 1 candidate, accuracy after epoch {epoch} {record.accuracy_at(epoch):.3f}"
    error = abs(history.rounds[5].predicted[0] - record.accuracy_at(history.rounds[5].epochs))
    assert f"predicted before training: mean error {error:.3f}" in text
    assert "tau" not in text
    assert printed(maker, history.rounds[0], history).startswith("round 1: 2 candidates, accuracy after epoch ")


def test_a_round_that_failed_says_so_and_nothing_more(maker):
    history = maker.run_rounds()
    [failed] = [r for r in history.rounds if r.records[0].status == "failed"]
    assert printed(maker, failed, history) == f"round {failed.number}: no candidate was trained (1 failed)\n"
    maker.answer(history)
    page = html_of(sections_of(read_study(maker.folder)))
    assert "out of &lt;memory&gt; &amp; more" in page


def test_of_many_rounds_those_with_a_colour_of_their_own_are_in_the_legend(maker):
    maker.answer(maker.run_rounds())
    [section] = sections_of(read_study(maker.folder))
    for figure, first in (
        (accuracy_against_cost(section), 1),
        (predicted_against_measured(section), 2),
        (learning_curves(section), 1),
    ):
        rounds = {t.name: t for t in figure.data if t.name and t.name.startswith("round ")}
        assert len(rounds) > 20
        assert [name for name, t in rounds.items() if t.showlegend] == [f"round {i}" for i in range(first, 9)]


@pytest.mark.parametrize(
    ("batch", "words"),
    [(1, "random, 29 rounds of 1 candidate, the first of 2"), (2, "random, 29 rounds of 2 candidates")],
)
def test_the_setup_counts_them(maker, batch, words):
    strategy = maker.settings.strategy.model_copy(update={"batch": batch})
    settings, output = maker.settings.model_copy(update={"strategy": strategy}), io.StringIO()
    images = Images(name="digits", train=1, val=1, classes=2)
    print_search_setup(Console(file=output, width=200), settings, images, sides=[32], num_classes=2, latency="")
    assert [line for line in output.getvalue().splitlines() if line.startswith("strategy")] == [f"strategy  {words}"]
