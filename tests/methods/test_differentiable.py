"""method=fbnetv1 as a method: what it refuses, what it plans, what it answers, and that a kill costs nothing."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from PIL import Image

from nars.configuration import settings_from
from nars.errors import UserError
from nars.latency.opening import shapes_of_space
from nars.latency.table import HEAD, LINES
from nars.methods.fbnetv1 import Fbnetv1Method
from nars.methods.supernet_plan import SupernetPlan, bytes_of_image
from nars.problem import Problem
from nars.settings import ArchitectureSpaceSettings, LoggerSettings, SearchSettings, parse
from nars.spaces.architecture import ArchitectureSpace
from nars.supernet.mixed import MixedSupernet

ROOT = Path(__file__).parents[2]
QUICK = ["method.epochs=2", "method.theta.after=1", "method.batch_size=8", "method.samples=2", "confirm.pairs=0"]
TINY = ["method=fbnetv1", "search_space=fbnet_digits", "constraint=none", "protocol.image_scale=1.0", *QUICK]


class Nobody:
    """Nobody looks on, but keeps how far the supernet was."""

    logger = LoggerSettings()

    def __init__(self):
        self.progress, self.told = self, []

    def start(self, title, total): ...
    def update(self, done, note): ...
    def stop(self): ...
    def round(self, done, history, findings): ...
    def recalled(self, history): ...

    def epoch(self, findings):
        self.told.append(findings())

    def pretraining(self, file):
        return contextlib.nullcontext(lambda report: None)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Two classes of 20 images: dark and bright noise."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name, level in (("dark", 60), ("bright", 190)):
        (folder / name).mkdir()
        for i in range(20):
            pixels = np.clip(rng.normal(level, 30, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture
def settings_of(photos, tmp_path):
    """A function: the settings of a search on the photos."""

    def settings(*overrides: str) -> SearchSettings:
        given = [*TINY, "data=folder", f"data.root={photos}", f"runs_dir={tmp_path}", "study=s", *overrides]
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            return settings_from(compose("search", overrides=given), SearchSettings)

    return settings


def method_of(settings: SearchSettings, watch: Nobody | None = None) -> Fbnetv1Method:
    return Fbnetv1Method(settings, Problem.of(settings), watch or Nobody())


def test_it_answers_inside_the_limit_and_another_call_reads_what_is_there(settings_of, tmp_path):
    settings = settings_of("constraint.max_macs=2e6")
    watch = Nobody()
    method = method_of(settings, watch)
    method.check()
    plan = method.plan()
    assert isinstance(plan, SupernetPlan)
    assert not list(tmp_path.rglob("*.pt"))
    answer = method.answer()
    problem = method.problem
    assert problem.feasible(answer.points).all()
    assert 1 <= len(answer.points) <= 5
    assert (np.diff(answer.accuracies) <= 0).all()
    recipes = {str(problem.space.candidate(point).recipe) for point in answer.points}
    assert recipes == {str(settings.method.recipe.to_dict())}
    section = answer.findings["supernet"]
    assert [len(told["supernet"]["epochs"]) for told in watch.told] == [1, 2]
    assert len(section["epochs"]) == section["asked_epochs"] == 2
    assert plan.steps == sum((2, 4))  # 18 images each: two batches of 8 for weights, and for theta from then on
    assert section["choices"]["stage1/block1/kind"][0] == "k3_e1"
    for rows in section["probabilities"].values():
        np.testing.assert_allclose(np.array(rows).sum(axis=1), 1, atol=1e-4)
    written = next(tmp_path.rglob("*.pt")).stat().st_mtime_ns

    again = method_of(settings, watch).answer()
    assert again.points.tolist() == answer.points.tolist()
    assert again.accuracies.tolist() == answer.accuracies.tolist()
    assert again.findings["work"]["training_seconds"] == 0
    assert next(tmp_path.rglob("*.pt")).stat().st_mtime_ns == written


def checked(method: Fbnetv1Method) -> None:
    """As search.py checks it."""
    method.problem.check(tries=1000)
    method.check()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "steers towards an upper limit and none is given; give constraint.max_macs=..., or method.loss=paper"),
        (["constraint.max_macs=2e5"], "the smallest architecture of search_space=fbnet_digits needs "),
        (["constraint.max_macs=2e6", "search_space=tiny"], "search_space=tiny is not such a space: stage1 is in short"),
        (
            ["constraint.max_macs=2e6", "trainer.precision=16-mixed"],
            "precision=16-mixed is not offered; use bf16",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_one_line_before_anything_is_trained(settings_of, tmp_path, overrides, message):
    method = method_of(settings_of(*overrides))
    with pytest.raises(UserError) as error:
        checked(method)
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert not list(tmp_path.rglob("*.pt"))


def table_of(problem: Problem, folder: Path, ms: float) -> Path:
    """The folder of a latency table in which every block of the space takes as long."""
    folder.mkdir()
    shapes = shapes_of_space(problem.space.architecture, 1000)
    lines = [",".join(map(str, (*shape[:-1], ms, shape.activation))) for shape in shapes]
    (folder / LINES).write_text("\n".join([HEAD, *lines]) + "\n")
    return folder


def test_latency_steers_where_it_is_limited_and_its_logarithm_must_be_positive_in_loss_paper(settings_of, tmp_path):
    macs = method_of(settings_of("constraint.max_macs=2e6"))
    assert macs.steered == "macs"
    paper = ["method=fbnetv1_paper", "constraint.max_macs=2e6", "constraint.max_latency_ms=100"]
    slow, fast = (table_of(macs.problem, tmp_path / str(ms), ms) for ms in (0.5, 1e-5))
    method = method_of(settings_of(*paper, "constraint.num_classes=1000", f"latency.table={slow}"))
    assert method.steered == "latency_ms"
    method.check()
    with pytest.raises(UserError, match=r"the logarithm of latency_ms, which must be above 1 in every architecture"):
        method_of(settings_of(*paper, "constraint.num_classes=1000", f"latency.table={fast}")).check()


def test_what_an_image_keeps_grows_with_its_pixels_and_one_path_keeps_less():
    kinds = {name: {"kernel": kernel, "expansion": 6} for name, kernel in (("k3", 3), ("k5", 5), ("k7", 7))}
    stage = {"stride": 2, "blocks": [{"width": 16, "kind": list(kinds)}]}
    values = {"name": "s", "resolution": 32, "stem_width": 16, "kinds": kinds, "stages": [stage], "head": {"conv": 8}}
    supernet = MixedSupernet(ArchitectureSpace(parse(ArchitectureSpaceSettings, values)), num_classes=2)
    small, large = (bytes_of_image(supernet, side) for side in (64, 128))
    assert large == pytest.approx(4 * small, rel=0.02)
    assert bytes_of_image(supernet, 128, paths="sampled") < large / 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_search_that_is_killed_anywhere_ends_in_the_same_answer(photos, tmp_path):
    """In its supernet, while it confirms, and uninterrupted; the pairs found are trained by the one recipe."""

    def command(runs: Path) -> list[str]:
        given = [*TINY, "data=folder", f"data.root={photos}", f"runs_dir={runs}", "study=s", "constraint.max_macs=2e6"]
        given += ["confirm.pairs=1", "protocol.epochs=2", "executor.workers=1", "method.epochs=6", "reference=null"]
        return [sys.executable, "search.py", *given]

    def answers(runs: Path) -> dict:
        return {file.name: file.read_text() for file in runs.rglob("best-*.yaml")}

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = subprocess.run(command(whole), cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Best measured with macs <= 2M" in " ".join(done.stdout.split())
    for moment in (lambda: any(killed.rglob("*.pt")), lambda: any(killed.rglob("records.jsonl"))):
        process = subprocess.Popen(command(killed), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 250
        while not moment():
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(command(killed), cwd=ROOT, capture_output=True, check=True)
    assert answers(killed) == answers(whole)
    best = yaml.safe_load(answers(whole)["best-1.yaml"])
    assert best["measured_epochs"] == 2
    assert (best["recipe"]["optimizer"], best["recipe"]["lr"]) == ("rmsprop", 0.025)
    assert (next(whole.rglob("report.html"))).read_text().count('"theta-0"') >= 1
