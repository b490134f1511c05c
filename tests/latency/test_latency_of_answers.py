"""What an answer says of the latency that it was limited by, and what its next command carries on."""

from nars.reporting.facts.trust import latency_sentence
from nars.settings import parse
from nars.study.next_step import differing
from nars.study.summary import LatencySummary, SearchSummary, nothing_found


def summary(**given) -> SearchSummary:
    latency = LatencySummary(table="latency/mine", device="Some Processor, torch 2.0, one thread", blocks=169, **given)
    return summed_up(latency=latency.model_dump(mode="json"))


def summed_up(**given) -> SearchSummary:
    return parse(SearchSummary, {"constraint": "none", "settings": {}, **nothing_found(1), **given})


def test_whose_latency_it_is_and_how_good_stands_under_the_answer():
    assert (
        latency_sentence(summary()) == "Latency is that of Some Processor, torch 2.0, one thread, summed over blocks."
    )
    said = latency_sentence(summary(sum_error=0.0421, predicted=7, prediction_error=0.0512))
    assert "predicts whole networks with a mean error of 4.2%" in said
    assert "7 of the 169 blocks were not measured but predicted, with a mean error of 5.1%" in said
    assert latency_sentence(summed_up()) is None


def test_the_next_command_names_the_table():
    given = {"latency": {"table": "latency/my device", "missing": "predict"}}
    assert differing("train", given) == ["'latency.table=\"latency/my device\"'", "latency.missing=predict"]
    assert differing("search", {"latency": {"table": None, "missing": "error"}}) == []
