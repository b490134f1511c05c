"""The last screen: short, and honest about what the answer rests on."""

import io

import numpy as np
import pytest
from rich.console import Console

from nars.costs.constraint import Constraint
from nars.reporting.facts.trust import trust_sentences
from nars.reporting.screen.terminal import print_answer
from nars.study.answers import Run


def screen(run: Run, *, width: int = 80) -> str:
    output = io.StringIO()
    print_answer(Console(file=output, width=width), run, report="runs/planted/report.html")
    return output.getvalue()


@pytest.fixture
def run(finished_run):
    return finished_run


def test_fits_25_lines_and_ends_with_what_to_do(run):
    text = screen(run)
    assert len(text.splitlines()) <= 25
    assert "Best architecture-recipe pairs with macs <= 600M" in text
    assert "Report: runs/planted/report.html" in text
    assert f"python train.py candidate={run.folder / 'best-1.yaml'} study=planted" in text.splitlines()[-1]
    assert f"python detect.py candidate={run.folder / 'best-1.yaml'}" in text.splitlines()[-2]


def test_names_what_differs_from_the_best(run):
    best = run.answers[0]
    other = best | {"recipe": best["recipe"] | {"ema": not best["recipe"]["ema"], "dropout": 0.31}}
    text = screen(Run(folder=run.folder, summary=run.summary, answers=(best, other)), width=200)
    (line,) = [line for line in text.splitlines() if line.strip().startswith("2 ")]
    assert line.split("M ")[-1].strip() == f"{'' if other['recipe']['ema'] else 'no '}ema, dropout 0.31"


def test_many_differences_are_cut_short(run):
    best = run.answers[0]
    stages = [stage | {"width": stage["width"] + 4, "depth": 9} for stage in best["architecture"]["stages"]]
    other = best | {"architecture": best["architecture"] | {"stages": stages}}
    text = screen(Run(folder=run.folder, summary=run.summary, answers=(best, other, other, other, other)))
    assert len(text.splitlines()) <= 25


def test_counts_failed_and_diverged_trainings(run):
    text = " ".join(trust_sentences(run))
    assert "Trained 90 candidates on digits" in text
    assert "3 diverged." in text
    assert "3 of 90 trainings failed and count for nothing; the first: out of <memory> & more." in text


@pytest.mark.parametrize(
    ("candidates", "tau", "sentence"),
    [
        (0, None, "nothing is known of the predictor's ranking"),
        (3, None, "Its ranking of 3 candidates before they were trained has no defined Kendall tau."),
        (4, 0.67, "with Kendall tau 0.67 (1 perfect, 0 chance; 95 % interval -0.25 to 0.94); so few say little"),
        (60, 0.67, "with Kendall tau 0.67 (1 perfect, 0 chance; 95 % interval 0.55 to 0.74)."),
        (
            60,
            0.17,
            "(1 perfect, 0 chance; 95 % interval 0.00 to 0.32); that may be chance: take the answer as a first guess.",
        ),
        (
            60,
            0.18,
            "with Kendall tau 0.18 (1 perfect, 0 chance; 95 % interval 0.01 to 0.33).",
        ),  # chance has a deviation of 0.0885
    ],
)
def test_says_how_well_the_predictor_ranked(run, candidates, tau, sentence):
    agreement = {"candidates": candidates, "kendall_tau": tau, "spearman": tau, "mean_absolute_error": None}
    ranking = run.summary.held_out_ranking.model_copy(update=agreement)
    summary = run.summary.model_copy(update={"held_out_ranking": ranking})
    assert sentence in " ".join(trust_sentences(Run(folder=run.folder, summary=summary, answers=run.answers)))


@pytest.mark.parametrize("macs", [399e6, 400e6, 500e6, 600e6, 601e6])
def test_says_when_the_answer_lies_outside_the_trained_costs(run, macs):
    answers = (run.answers[0] | {"costs": {"macs": macs, "params": 1e6}}, *run.answers[1:])
    text = " ".join(trust_sentences(Run(folder=run.folder, summary=run.summary, answers=answers)))
    window = Constraint(names=("macs", "params"), low=(400e6, -np.inf), high=(600e6, np.inf))
    warned = "The best pair lies outside the costs of the trained candidates (macs >= 400M, macs <= 600M)" in text
    assert warned == (not window.feasible(np.array([[macs, 1e6]]))[0])
    assert ("outside" in text) == warned
