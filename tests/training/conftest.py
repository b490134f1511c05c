"""Jobs of seconds: the smallest architecture of the tiny space on the digits."""

import numpy as np
import pytest

from nars.data import open_data
from nars.settings import DigitsSettings, LoggerSettings, ProtocolSettings, Recipe, TrainerSettings
from nars.spaces.candidate import Candidate
from nars.training.job import TrainingJob, training_identity

RECIPE = Recipe(lr=0.025, optimizer="rmsprop", ema=True, weight_decay=1e-5).to_dict()
PROTOCOL = {
    "epochs": 2,
    "steps_per_epoch": 3,
    "batch_size": 16,
    "lr_batch_size": 64,
    "ema_decay": 0.9,
    "augmentation": "none",
    "warmup_epochs": 0.5,
}


@pytest.fixture(scope="session")
def smallest(tiny) -> dict:
    """The cheapest architecture of the tiny space."""
    return tiny.decode(np.zeros(len(tiny), dtype=np.int16))


@pytest.fixture(scope="session")
def job_values() -> dict:
    """What all jobs of a test share, as a search has it."""
    data = DigitsSettings(name="digits")
    protocol, trainer = ProtocolSettings(**PROTOCOL), TrainerSettings(accelerator="cpu")
    return {
        "data": data,
        "split_file": None,
        "protocol": protocol,
        "trainer": trainer,
        "logger": LoggerSettings(),
        "training": training_identity(open_data(data), protocol, trainer),
        "seed": 3,
    }


@pytest.fixture(scope="session")
def everything_random() -> dict:
    """Every number of a recipe that can be neutral away from that, but for the weight decay: all that is drawn."""
    neutral = {key for key, value in Recipe.neutral().items() if isinstance(value, float)}
    return dict.fromkeys(neutral - {"weight_decay"}, 0.3)


@pytest.fixture(scope="session")
def candidate(smallest):
    """A function: the smallest architecture with a recipe changed as given."""
    return lambda **recipe: Candidate(architecture=smallest, recipe=RECIPE | recipe)


@pytest.fixture(scope="session")
def make_job(job_values, candidate):
    """A function: a job with a recipe, a protocol and fields of its own changed as given. It keeps no checkpoint."""
    alone = {"trainer": TrainerSettings(accelerator="cpu", checkpoint_every=0)}

    def make(folder, *, recipe=None, protocol=None, **fields) -> TrainingJob:
        protocol = ProtocolSettings(**(PROTOCOL | (protocol or {})))
        values = job_values | alone | candidate(**(recipe or {})).to_dict()
        values |= {"protocol": protocol, "epochs": protocol.epochs}
        return TrainingJob(
            **(values | {"key": "k1", "folder": str(folder), "costs": {"macs": 1.5, "params": 2.5}} | fields)
        )

    return make
