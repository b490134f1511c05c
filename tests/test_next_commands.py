"""What scripts print for the next step can be pasted into a shell, whatever the paths hold."""

import io
import re
import shlex
import shutil
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image
from rich.console import Console

from nars.commands.prepare import prepare_data
from nars.commands.pretrain import pretrain_to_file
from nars.commands.train import train_candidate
from nars.configuration import settings_from
from nars.overrides import with_texts_quoted
from nars.reporting.page.report import write_report
from nars.reporting.screen.terminal import print_answer
from nars.settings import ExportSettings, PrepareSettings, PretrainScriptSettings, SearchSettings, TrainSettings
from nars.shell import literal
from nars.study.folder import read_study
from nars.study.next_step import train_command

ROOT = Path(__file__).parents[1]
ODD = "O'Brien's \"best\" [v2] (2019), a=b #1 ${x} $HOME café"


@pytest.fixture
def odd(tmp_path) -> Path:
    folder = tmp_path / ODD
    folder.mkdir()
    return folder


def settings_of(script: str, settings_class, *overrides: str):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return settings_from(compose(script, overrides=list(overrides)), settings_class)


def printed(work, settings) -> str:
    output = io.StringIO()
    work(settings, Console(file=output, width=80, markup=False))
    return output.getvalue()


def given(command: str, key: str, settings_class=TrainSettings) -> str:
    """The value of a key in the words of a command, as the shell, our own quoting and Hydra read it."""
    words = with_texts_quoted(shlex.split(command), settings_class)
    [word] = [word for word in words if word.startswith(f"{key}=")]
    value = OverridesParser.create().parse_override(word).value()
    return value.replace("\\${", "${")  # OmegaConf's own


def test_preparing_names_the_folder_that_it_wrote(odd):
    for i in range(4):
        file = odd / "images" / "ab"[i % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((40, 40, 3), 60 * i, dtype=np.uint8)).save(file)
    texts = [f"data.root={literal(str(odd / 'images'))}", f"output={literal(str(odd / 'prepared'))}"]
    text = printed(
        prepare_data, settings_of("prepare_data", PrepareSettings, *texts, "data.val_fraction=0.5", "workers=1")
    )
    line = text.splitlines()[-1]
    assert given(line.partition("use it with: ")[2], "data.root") == str(odd / "prepared")


def test_pretraining_names_the_file_that_it_wrote(odd):
    small = (
        "search_space=tiny",
        "recipe_space=tiny",
        "predictor.pretrain.pool_size=200",
        "predictor.pretrain.epochs=1",
    )
    settings = settings_of("pretrain_predictor", PretrainScriptSettings, *small, f"runs_dir={literal(str(odd))}")
    command = printed(pretrain_to_file, settings).splitlines()[-1].partition("use it with: ")[2]
    assert command.startswith("python search.py ")
    assert Path(given(command, "pretrained")).is_file()


def test_a_training_names_the_weights_that_it_wrote(odd):
    short = ("protocol.epochs=1", "protocol.steps_per_epoch=1", "protocol.image_scale=0.25", "trainer.accelerator=cpu")
    candidate = ("candidate=timm:test_resnet", "recipe=middle", "recipe.stochastic_depth=0.0")
    settings = settings_of("train", TrainSettings, *candidate, *short, f"runs_dir={literal(str(odd))}")
    text = printed(train_candidate, settings)
    command = text.splitlines()[-1].partition("other images: ")[2]
    assert command.startswith("python train.py mode=evaluate ")
    weights = Path(given(command, "weights"))
    assert weights.is_file()
    export = arrived(text.splitlines()[-2].partition("(ONNX, ...): ")[2], "export", ExportSettings)
    assert (export.weights, export.data) == (str(weights), settings.data)
    [line] = [line for line in weights.with_name("card.yaml").read_text().splitlines() if "import timm" in line]
    exec(line.strip(), pasted := {})  # what the card says loads the weights
    assert pasted["network"].num_classes == 10


@pytest.fixture
def study(odd) -> Path:
    shutil.copytree(ROOT / "tests/fixtures/old_study/study", odd / "study")
    return odd / "study"


def test_a_search_names_the_pair_that_it_found(study):
    [run] = read_study(study).runs
    output = io.StringIO()
    print_answer(Console(file=output, width=80, markup=False), run, report=study / "report.html")
    command = output.getvalue().splitlines()[-1].partition("on: ")[2]
    assert command.startswith("python train.py ")
    assert given(command, "candidate") == str(run.answer_file(1))


def arrived(command: str, script: str, settings_class):
    """The settings that a copied command gives its script."""
    python, file, *words = shlex.split(command)
    assert (python, file) == ("python", f"{script}.py")
    return settings_of(script, settings_class, *with_texts_quoted(words, settings_class))


def searched_with(study: Path, *overrides: str) -> SearchSettings:
    """Let the study's answer be one that was searched with other settings."""
    settings = settings_of("search", SearchSettings, *overrides)
    [run] = read_study(study).runs
    summary = run.summary.model_copy(update={"settings": settings.model_dump(mode="json")})
    (run.folder / "search.yaml").write_text(yaml.safe_dump(summary.model_dump(mode="json")))
    return settings


SEARCHES = {
    "digits": (),
    "photos": ("data=folder", f"data.root={literal(ODD)}", "data.val_fraction=0.3", "protocol.epochs=7", "seed=3"),
    "whole": ("data=prepared", "data.root='12'", "protocol=search", "protocol.steps_per_epoch=null"),
    "preset": ("experiment=imagenet200", "data.root=/x"),
    "keys": ("experiment=smoke", "logger=[csv,wandb]", "trainer.accelerator=cpu", "protocol.lr_decay=1e-5"),
    "none": ("logger=none",),
}


@pytest.mark.parametrize("search", SEARCHES)
def test_the_next_command_trains_as_its_search_did(search, study):
    settings = searched_with(study, *SEARCHES[search])
    [run] = read_study(study).runs
    output = io.StringIO()
    print_answer(Console(file=output, width=80, markup=False), run, report=study / "report.html")
    printed = output.getvalue().splitlines()[-1].partition("on: ")[2]
    copied = [unescape(text) for text in re.findall(r'data-copy="([^"]*)"', write_report([study]).read_text())]
    copied = [text for text in copied if "train.py" in text][-len(run.answers) :]
    for rank, command in ((1, printed), *enumerate(copied, start=1)):
        train = arrived(command, "train", TrainSettings)
        assert train.candidate == str(run.answer_file(rank))
        assert Path(train.runs_dir, train.study) == study
        for key in {"data", "protocol", "trainer", "logger", "seed"}:
            assert getattr(train, key) == getattr(settings, key)
    assert rank == len(run.answers)


def test_what_is_as_the_script_has_it_is_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "tests/fixtures/old_study/study", "runs/digits")
    searched_with(Path("runs/digits"))
    [run] = read_study(Path("runs/digits")).runs
    assert train_command(run, 1) == f"python train.py candidate={run.answer_file(1)} study=digits"


def test_a_pretrained_file_is_used_with_the_space_it_was_made_for(tmp_path):
    given = ("search_space=tiny", "search_space.stem_width=[4,12]", "recipe_space=tiny", "predictor.embedding=8")
    short = ("predictor.pretrain.pool_size=200", "predictor.pretrain.epochs=1", f"runs_dir={literal(str(tmp_path))}")
    settings = settings_of("pretrain_predictor", PretrainScriptSettings, *given, *short)
    command = printed(pretrain_to_file, settings).splitlines()[-1].partition("use it with: ")[2]
    search = arrived(command, "search", SearchSettings)
    for key in ("search_space", "recipe_space", "predictor", "runs_dir"):
        assert getattr(search, key) == getattr(settings, key)


def test_a_report_copies_the_commands_of_all_pairs(study):
    page = write_report([study]).read_text()
    commands = [unescape(text) for text in re.findall(r'data-copy="([^"]*)"', page)]
    [run] = read_study(study).runs
    files = [str(run.answer_file(rank)) for rank in range(1, len(run.answers) + 1)]
    assert [given(command, "candidate") for command in commands if "train.py" in command][-len(files) :] == files
