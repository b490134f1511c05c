"""The first sentences: what was measured, what was predicted, and what random pairs reach."""

from dataclasses import replace

import pytest

from nars.records import Ledger, training_key
from nars.reporting.facts.headline import headline, measured_words, predicted_bar, predicted_words
from nars.reporting.facts.measured import with_measurements
from nars.reporting.facts.sections import sections_of
from nars.reporting.facts.sweeps import sweep_of
from nars.reporting.page.figures.accuracy import accuracy_against_cost
from nars.reporting.page.report import write_report
from nars.settings import parse
from nars.spaces.candidate import Candidate
from nars.study.answers import write_answer
from nars.study.folder import read_study
from nars.study.outcomes import Outcome, Result


@pytest.fixture
def searched(tiny_maker):
    """A maker of a study, and the unconfirmed run of its search."""
    maker = tiny_maker(
        "strategy=paper", "strategy.rounds=2", "strategy.batch=6", "protocol.epochs=2", "constraint.max_macs=2e6"
    )
    return maker, maker.answer(maker.run_rounds())


def trained(maker, answer: dict, accuracy: float, *, ledger=None, seed: int = 0, epochs: int = 2, **changes) -> None:
    """What `train.py` leaves of the training of an answer."""
    candidate = Candidate(architecture=answer["architecture"], recipe=answer["recipe"])
    some = next(record for record in maker.ledger if record.status == "finished")
    training = some.training | changes
    values = {
        **candidate.to_dict(),
        "training": training,
        "key": training_key(candidate, training, seed),
        "seed": seed,
        "epochs": epochs,
        "accuracies": (accuracy / 2,) * (epochs - 1) + (accuracy,),
        "status": "finished",
    }
    (ledger or maker.ledger).append(some.model_copy(update=values))


def known(maker, run) -> list[float | None]:
    return [a.get("measured_accuracy") for a in with_measurements(run, read_study(maker.folder)).answers]


def test_nothing_was_trained_and_what_it_would_take_is_said(searched):
    maker, run = searched
    [sentence] = headline(run, read_study(maker.folder))
    assert sentence.startswith("None of these pairs has been trained yet: accuracies are predictions.")
    assert "confirm.pairs=3 trains the best" in sentence
    page = write_report([maker.folder]).read_text()
    assert "None of these pairs has been trained yet." in page
    assert ">measured</th>" not in page


@pytest.mark.parametrize("beside", [False, True])
def test_what_train_py_measured_is_known(searched, beside, tmp_path):
    maker, run = searched
    ledger = Ledger(tmp_path / "trained" / "records.jsonl") if beside else None
    if beside:
        ledger.path.parent.mkdir()
    trained(maker, run.answers[2], 0.91, ledger=ledger)
    trained(maker, run.answers[2], 0.93, ledger=ledger, seed=5)
    trained(maker, run.answers[3], 0.71, ledger=ledger, epochs=4)  # longer: half of it after the last epoch here
    trained(maker, run.answers[0], 0.99, ledger=ledger, epochs=1)  # shorter
    trained(maker, run.answers[1], 0.99, ledger=ledger, precision="bf16-mixed")
    assert known(maker, run) == [None, None, pytest.approx(0.92), pytest.approx(0.355), None]
    first, *_ = headline(run, read_study(maker.folder))
    assert first.startswith(
        "Best measured is pair 3 with macs <= 2M: accuracy 0.920 ± 0.014, 2 seeds after epoch 2; predicted "
    )
    page = write_report([maker.folder]).read_text()
    assert "has been trained yet" not in page
    assert ">measured</th>" in page
    assert '<td data-label="measured" data-value="0.92"><b>0.920 ± 0.014, 2 seeds</b></td>' in page


def test_a_confirmed_answer_is_measured_and_how_far_predictions_were_off_is_said(searched):
    maker, run = searched
    best = run.answers[0] | {"measured_accuracy": 0.8, "measured_seeds": 1, "measured_epochs": 2}
    pairs = [
        {"keys": ("a",), "costs": {}, "accuracies": (0.8,), "predicted": 0.9, "trained_before": False},
        {"keys": ("b",), "costs": {}, "accuracies": (0.5, None), "predicted": 0.8, "trained_before": False},
        {"keys": ("c",), "costs": {}, "accuracies": (0.1,), "predicted": 0.9, "trained_before": True},
    ]
    values = run.summary.model_dump(mode="json") | {"confirmation": {"epochs": 2, "pairs": pairs}}
    summary = parse(type(run.summary), values)
    written = write_answer(run.folder, [best, *run.answers[1:]], summary)
    study = read_study(maker.folder)
    assert study.runs[0].answers == written.answers
    first, second = headline(study.runs[0], study)
    assert first.startswith("Best measured with macs <= 2M: accuracy 0.800 after epoch 2; predicted ")
    assert second == "The 2 pairs found were measured -0.200 off the prediction on average."
    assert written.result.accuracy == 0.8
    assert written.result.predicted_std is None
    assert run.result.predicted_std is not None  # as before there was a confirmation


def test_beside_the_answer_stands_the_reference(searched):
    maker, run = searched
    best = run.answers[0] | {"measured_accuracy": 0.8, "measured_seeds": 1, "measured_epochs": 2}

    def said(accuracies, macs):
        keys, costs = tuple("abc"[: len(accuracies)]), {"macs": macs, "params": 2e6}
        reference = {"name": "fbnetv3_a", "keys": keys, "costs": costs, "accuracies": accuracies}
        confirmation = {"epochs": 2, "pairs": (), "reference": reference}
        summary = parse(type(run.summary), run.summary.model_dump(mode="json") | {"confirmation": confirmation})
        write_answer(run.folder, [best, *run.answers[1:]], summary)
        study = read_study(maker.folder)
        return headline(study.runs[0], study)[-1]

    assert said((None,), 1.5e6) == "The reference fbnetv3_a (1.5M MACs, 2M params) could not be trained."
    outside = "The reference fbnetv3_a (3M MACs, 2M params, outside the limit), trained alike: 0.750 ± 0.071, 2 seeds."
    assert said((0.7, 0.8, None), 3e6) == outside
    alone = "The reference fbnetv3_a (1.5M MACs, 2M params), trained alike: 0.700."
    assert said((0.7,), 1.5e6) == alone
    assert alone in write_report([maker.folder]).read_text()
    [section] = sections_of(read_study(maker.folder))
    [point] = [trace for trace in accuracy_against_cost(section).data if trace.name == "reference"]
    assert (point.text, point.x, point.y) == (("fbnetv3_a",), (1.5e6,), (0.7,))


def test_random_pairs_are_those_of_a_random_search_as_many_as_were_trained(searched, make_study):
    maker, run = searched
    trained(maker, run.answers[0], 0.9)
    assert len(headline(run, read_study(maker.folder))) == 1
    other = make_study(
        maker.folder, "strategy.rounds=3", "strategy.batch=6", "protocol.epochs=2", "constraint.max_macs=2e6"
    )
    history = other.run_rounds()
    random = other.answer(history)
    study = read_study(maker.folder)
    first = [record for r in history.rounds for record in r.records][:12]  # of 18; the search has trained 12
    inside = [r.accuracy_at(2) for r in first if r.status != "failed" and r.costs["macs"] <= 2e6]
    mine = next(r for r in study.runs if r.folder == run.folder)
    assert headline(mine, study)[-1] == (
        f"Best of 12 random pairs, {len(inside)} of them within the limit: {max(inside):.3f}."
    )
    own = next(r for r in study.runs if r.folder == random.folder)
    assert not any("random" in sentence for sentence in headline(own, study))


def test_predictions_and_their_bars_stay_between_0_and_1():
    assert predicted_words({"predicted_accuracy": 1.01, "predicted_std": 0.2}) == "1.000 (0.81 to 1.00)"
    assert predicted_words({"predicted_accuracy": 0.05, "predicted_std": 0.2}) == "0.050 (0.00 to 0.25)"
    assert predicted_bar(1.5, 0.1) == (1, 1)
    assert measured_words({}) == "-"


def result(accuracy: float, std: float | None, macs: float) -> Result:
    costs = {"macs": macs, "params": 1.0}
    return Result(accuracy=accuracy, predicted_std=std, costs=costs, architecture={}, recipe={}, folder="/nowhere")


@pytest.mark.parametrize(
    ("stds", "shown", "accuracy", "of_seed"),
    [
        ((0.1, 0.1, 0.1), 2.0, "predicted", "median seed"),
        ((None, None, None), 3.0, "measured", "best seed"),
        ((None, 0.1, 0.1), 1.0, "measured or predicted", "best seed"),
    ],
)
def test_no_seed_is_the_best_by_a_prediction(stds, shown, accuracy, of_seed):
    values = zip((0.5, 0.6, 0.9), stds, (1.0, 2.0, 3.0), strict=True)
    outcomes = [
        Outcome(number=i, overrides=("x=1", f"seed={i}"), result=result(*value)) for i, value in enumerate(values)
    ]
    sweep = sweep_of(outcomes)
    assert sweep.rows[0].best.costs["macs"] == shown
    assert (sweep.accuracy, sweep.of_seed) == (accuracy, of_seed)


def test_the_best_of_a_round_keeps_the_limits(searched):
    maker, _ = searched
    [section] = sections_of(read_study(maker.folder))
    for number, candidates in section.rounds.items():
        inside = [section.accuracy(c) for c in candidates if c.record.costs["macs"] <= 2e6]
        outside = [section.accuracy(c) for c in candidates if c.record.costs["macs"] > 2e6]
        assert section.best(number) == max(inside, default=None)
        assert section.best_outside(number) == max(outside, default=None)
    assert any(c.record.costs["macs"] > 2e6 for c in section.trained)
    free = replace(section, runs=())
    assert free.best(1) == max(map(section.accuracy, section.rounds[1]))
