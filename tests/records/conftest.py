"""A record, its candidate, and the path of a ledger."""

from pathlib import Path

import pytest

from nars.records import Record
from nars.spaces.candidate import Candidate

CANDIDATE = Candidate(architecture={"stem_width": 16}, recipe={"lr": 0.021})


def record(key: str = "a", *, status: str = "finished", accuracies=(0.1, 0.2, 0.3), **given) -> Record:
    values = {
        "key": key,
        **CANDIDATE.to_dict(),
        "training": {"data": "digits"},
        "seed": 0,
        "epochs": 3,
        "status": status,
        "accuracies": tuple(accuracies),
        "costs": {"macs": 6e8, "params": 8e6},
        "seconds": 1.5,
    }
    return Record(**(values | given))


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "study" / "records.jsonl"
