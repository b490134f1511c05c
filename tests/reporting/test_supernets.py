"""What reports say of a search inside a supernet, unfinished and finished."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from PIL import Image

from nars.configuration import settings_from
from nars.costs.statistics import costs
from nars.data import open_data
from nars.reporting.facts.sections import sections_of
from nars.reporting.facts.status import status_line
from nars.reporting.facts.trust import trust_sentences
from nars.reporting.page.figures.of_section import figures_of
from nars.reporting.page.report import html_of
from nars.settings import FolderSettings, SearchSettings
from nars.spaces.architecture import ArchitectureSpace
from nars.study.answers import answer_folder, known_answer, write_answer, write_unfinished
from nars.study.folder import read_study
from nars.study.summary import nothing_found, summary_of
from tests.reporting.conftest import CONF

LIMIT = 2e6


@pytest.fixture
def settings(tmp_path) -> SearchSettings:
    given = ["method=fbnetv1", "search_space=fbnet_digits", "constraint=none", f"constraint.max_macs={LIMIT}"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("search", overrides=[*given, f"runs_dir={tmp_path}", "study=planted"])
    return settings_from(config, SearchSettings)


def section_of(space: ArchitectureSpace, done: int, images: str) -> dict:
    """What a supernet would have written whose theta is decided for the second choice of every dimension."""
    epochs = [
        {
            "temperature": 5.0 - i,
            "loss": 1.0 / (i + 1),
            "theta_loss": 1.0 if i else None,
            "accuracy": 0.5 + 0.1 * i if i else None,
            "expected": [LIMIT * (1.5 - 0.2 * i), 4e5],
            "argmax": [LIMIT * (1.4 - 0.2 * i), 3e5],
            "entropy": 1 - 0.4 * i,
            "decided": 0.2 + 0.35 * i,
        }
        for i in range(done)
    ]
    rows = {d.name: [np.linspace(0, 1, len(d.choices)).tolist()] * done for d in space.dimensions}
    choices = {d.name: list(d.choices) for d in space.dimensions}
    shared = {
        "images": images,
        "asked_epochs": 14,
        "seconds": 90.0,
        "cost_names": ["macs", "params"],
        "choices": choices,
    }
    return {**shared, "epochs": epochs, "probabilities": rows}


def summary(settings: SearchSettings, space: ArchitectureSpace, done: int, images: str = "digits"):
    work = {"trained": 0, "reused": 0, "failed": 0, "diverged": 0, "training_seconds": 90.0}
    found = nothing_found(3) | {"work": work, "supernet": section_of(space, done, images)}
    given = {"constraint": "macs <= 2M", "settings": settings.model_dump(mode="json"), "started": datetime.now(UTC)}
    return summary_of(found, **given)


def test_a_search_that_goes_on_says_how_many_epochs_are_done(settings):
    space = ArchitectureSpace(settings.search_space)
    folder = answer_folder(settings)
    write_unfinished(folder, summary(settings, space, 2))
    study = read_study(folder.parents[1])
    assert study.runs[0].rounds_left == 0
    assert "2 of 14 epochs of the supernet done" in status_line(study)
    page = html_of(sections_of(study))
    assert "not finished, 2 of 14 epochs of the supernet done" in page
    assert "rounds done" not in page


def smallest(settings: SearchSettings, space: ArchitectureSpace) -> dict:
    """An answer."""
    point = np.zeros(len(space), dtype=np.int16)
    macs, params = costs(space, point[None], ("macs", "params"))[0]
    return {
        "architecture": space.decode(point),
        "recipe": settings.method.recipe.to_dict(),
        "predicted_accuracy": 0.9,
        "predicted_std": 0.01,
        "costs": {"macs": float(macs), "params": float(params)},
    }


def test_an_answer_of_other_images_is_not_known(settings, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (8, 8), (40 * i, 0, 0)).save(tmp_path / "photos" / name / f"{i}{name}.png")
    data = FolderSettings(name="folder", root=str(tmp_path / "photos"))
    settings, space = settings.model_copy(update={"data": data}), ArchitectureSpace(settings.search_space)
    pair, images = smallest(settings, space), open_data(data).fingerprint
    write_answer(answer_folder(settings), [pair], summary(settings, space, 3, images))
    assert known_answer(settings) is not None
    (tmp_path / "photos" / "a" / "0a.png").unlink()
    assert known_answer(settings) is None


def test_a_finished_search_shows_theta_its_costs_and_how_decided_it_is(settings):
    space = ArchitectureSpace(settings.search_space)
    folder = answer_folder(settings)
    run = write_answer(folder, [smallest(settings, space)], summary(settings, space, 3))
    words = " ".join(trust_sentences(run))
    assert "The supernet took 90 s for 3 epochs. Theta is 90% decided: its most probable network has 2M MACs" in words
    assert "those that it draws have 2.2M MACs on average" in words
    assert "outside the costs" not in words
    assert "Kendall" not in words
    [section] = sections_of(read_study(folder.parents[1]))
    figures = figures_of(section)
    heat = figures["theta"].data[0]
    assert np.shape(heat.z) == (sum(map(len, (d.choices for d in space.dimensions))), 3)
    assert heat.customdata[0][0] == "stage1/block1/kind = k3_e1"
    assert heat.z[8][0] == 1
    lines = {trace.name: trace for trace in figures["supernet"].data}
    assert list(lines["most probable"].y) == [LIMIT * share for share in (1.4, 1.4 - 0.2, 1.4 - 0.4)]
    assert list(lines["accuracy on theta's images"].y) == [None, 0.6, 0.7]
    assert [shape.y0 for shape in figures["supernet"].layout.shapes] == [LIMIT]
    page = html_of([section])
    assert "Differentiable search" in page
    assert "<h2>Theta</h2>" in page
    assert "<th>Kendall tau</th>" not in page
