"""Ledgers of trainings that are arithmetic on the tiny space."""

import json
from pathlib import Path

import numpy as np
import pytest

from nars.records import Record, training_key

TRAINING = {"data": "d1g1t5", "protocol": {"batch_size": 64, "ema_decay": 0.8}, "precision": "32-true"}


@pytest.fixture(scope="session")
def planted(tiny_joint):
    """A function: accuracies (n,) of joint points (n, d) of the tiny space, linear in their features, 0.2 to 0.9."""
    slopes = np.random.default_rng(7).normal(size=len(tiny_joint.columns))
    low, high = np.minimum(slopes, 0).sum(), np.maximum(slopes, 0).sum()
    return lambda points: 0.2 + 0.7 * (tiny_joint.encode(points) @ slopes - low) / (high - low)


@pytest.fixture(scope="session")
def records_of(tiny_joint, planted):
    """A function: records of n random candidates, the same for a seed; keywords change all of them."""

    def records(n: int, *, seed: int = 0, epochs: int = 3, **changes) -> list[Record]:
        points = tiny_joint.sample(n, seed)
        made = []
        for point, end in zip(points, planted(points), strict=True):
            candidate = tiny_joint.candidate(point)
            values = {
                "training": TRAINING,
                "seed": 0,
                "epochs": epochs,
                "status": "finished",
                "accuracies": tuple(round(float(end) * epoch / epochs, 6) for epoch in range(1, epochs + 1)),
                "costs": {"macs": 1.0, "params": 1.0},
                "seconds": 1.0,
            } | changes
            key = training_key(candidate, values["training"], values["seed"])
            made.append(Record(key=key, **candidate.to_dict(), **values))
        return made

    return records


@pytest.fixture
def write_ledger(tmp_path):
    """A function: a ledger with these records, in a folder of its own."""

    def write(*records: Record, name: str = "cluster") -> Path:
        path = tmp_path / name / "records.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(record.content()) + "\n" for record in records))
        return path

    return write
