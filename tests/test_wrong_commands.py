"""Commands that cannot be meant as they stand: one line that says what is wrong and what was probably meant."""

import sys

import pytest
from hydra import compose, initialize_config_dir

from nars.advice import check_words, with_short_numbers
from nars.configuration import BY_SCRIPT, settings_from, user_errors
from nars.errors import UserError
from nars.files import CONF
from nars.overrides import with_texts_quoted

# Script, words of the command line (separated by two blanks), and parts that the line must have.
SEARCH = """
constraint.max_mac=5e8                        | constraint.max_mac: unknown key; did you mean constraint.max_macs?
constraint.maxmacs=5e8                        | did you mean constraint.max_macs?
constraint.max_parms=9e6                      | did you mean constraint.max_params?
constraint.classes=10                         | constraint.classes: unknown key
epochs=3                                      | epochs: unknown key; did you mean protocol.epochs?
max_macs=6e8                                  | max_macs: unknown key; did you mean constraint.max_macs?
batch_size=32                                 | did you mean protocol.batch_size?
workers=4                                     | did you mean executor.workers?
rounds=4                                      | did you mean strategy.rounds?
strategy.round=2                              | strategy.round: unknown key; did you mean strategy.rounds?
strategy.batchsize=8                          | strategy.batchsize: unknown key
strategy.pool=100                             | did you mean strategy.pool_size?
protocol.epoch=3                              | did you mean protocol.epochs?
protocol.lr=0.1                               | protocol.lr: unknown key
data.val=/x                                   | data.val: unknown key; did you mean data.val_fraction?
data=folder  data.root=/x  data.val=/y        | did you mean data.val_
data=folder  data.roots=/x                    | did you mean data.root?
device=cpu                                    | device: unknown key; did you mean trainer.devices?
accelerator=cpu                               | did you mean trainer.accelerator?
evolution.surivors=9                          | did you mean evolution.survivors?
predictor.epochs=3                            | did you mean predictor.pretrain.epochs?
trainer.prec=32-true                          | did you mean trainer.precision?
+foo=3                                        | foo: unknown key; allowed: study
constraint=flops_600m,params_9m               | add -m | 'constraint=[flops_600m,params_9m]' for all of them
logger=csv,wandb                              | several values; add -m | 'logger=[csv,wandb]'
seed=0,1                                      | seed=0,1: several values; add -m for a job of each
strategy=nars,random                          | strategy=nars,random: several values; add -m
strategy.rounds=2,4                           | several values; add -m
constraint=flops_600m  constraint=params_9m   | given twice, flops_600m and params_9m | for both: 'constraint=[
data=digits  data=folder                      | data: given twice, digits and folder; leave one out
logger=csv  logger=wandb                      | for both: 'logger=[csv,wandb]'
constraint=600M                               | constraint=600M: no such option | constraint.max_macs=600M
constraint=flops_625m                         | constraint.max_macs=625m | allowed: activations_
constraint=params_11m                         | constraint.max_params=11m
constraint=latency_15ms                       | a limit of your own is a key: constraint.max_latency_ms=15;
constraint=flops                              | constraint=flops: no such option | allowed:
constraint=[flops_600m,params_9]              | constraint=params_9: no such option | constraint.max_params=9
constraint=0                                  | a group takes the name of an option, not a number
constraint.max_macs=lots                      | constraint.max_macs: Input should be a valid number, given 'lots'
constraint.max_macs=-1                        | constraint.max_macs: Input should be greater than 0, given -1
constraint.min_macs=7e8                       | constraint: min_macs is above max_macs
strategy.window.min_macs=9e8                  | strategy.window: min_macs is above max_macs
flops_600m                                    | flops_600m: a setting is key=value; did you mean constraint=flops_600m?
imagenet200                                   | imagenet200: a setting is key=value; did you mean
flops_60m                                     | did you mean constraint=flops_6
hello                                         | hello: a setting is key=value, such as constraint=flops_600m
--constraint  flops_600m                      | --constraint: settings have no dashes; write constraint=flops_600m
--constraint=flops_600m                       | settings have no dashes; write constraint=flops_600m
--seed  3                                     | --seed: settings have no dashes; write seed=3
--strategy.rounds=3                           | write strategy.rounds=3
-m  --protocol.epochs  1,2                    | write protocol.epochs=1,2
logger=[csv,  wandb]                          | the shell parts a list at spaces; write 'logger=[csv,wandb]' in quotes
constraint=[flops_600m,  params_9m]           | write 'constraint=[flops_600m,params_9m]' in quotes
search_space.stem_width={low:  16}            | cannot be read
data=foldr                                    | data=foldr: no such option; did you mean data=folder?; allowed: digits
strategy=nrs                                  | did you mean strategy=nars?
predictor=papr                                | did you mean predictor=paper?
experiment=imagenet                           | did you mean experiment=imagenet200?
search_space=fbnet3                           | did you mean search_space=fbnetv3
recipe_space=small                            | recipe_space=small: no such option; allowed: fbnetv3
trainer=cuda                                  | trainer=cuda: no such option
method=evolution                              | method=evolution: no such option
recipe=middle                                 | recipe: this script has no such group
teacher.weights=x                             | teacher.weights: this script has no such key
data=folder                                   | data.root: must be given on the command line: data.root=...
seed=-1                                       | seed: Input should be greater than or equal to 0, given -1
seed=one                                      | seed: Input should be a valid integer, given 'one'
study=a/b                                     | study: String should match pattern
executor.workers=0                            | executor.workers: Input should be greater than 0, given 0
hydra/launcher=joblb                          | hydra/launcher=joblb
"""
TRAIN = """
constraint=flops_600m                         | constraint: this script has no such group
strategy.rounds=3                             | strategy.rounds: this script has no such key
recipe.learning_rate=0.1                      | recipe.learning_rate: unknown key
recipe.lr=fast                                | recipe.lr: Input should be a valid number, given 'fast'
recipe.optimiser=sgd                          | recipe.optimiser: unknown key; did you mean recipe.optimizer?
recipe.optimizer=adam                         | recipe.optimizer: Input should be 'rmsprop' or 'sgd', given 'adam'
lr=0.1                                        | lr: unknown key; did you mean recipe.lr?
fbnetv3_b                                     | fbnetv3_b: a setting is key=value
mode=test                                     | mode: Input should be 'train' or 'evaluate', given 'test'
resume=maybe                                  | resume: Input should be a valid boolean, given 'maybe'
devices=2                                     | did you mean trainer.devices?
"""
EXPORT = """
                                              | weights: must be given on the command line: weights=...
weights=x  format=onnx,hub                    | several values; add -m | 'format=[onnx,hub]' for all of them together
weights=x  format=tflite                      | 'torch_export', 'hub' or 'onnx_heads', given 'tflite'
weights=x  format=[onnx,  hub]                | write 'format=[onnx,hub]' in quotes
weights=x  format=[]                          | format: Value should have at least 1 item
weights=x  batch=any                          | batch
weights=x  images=64                          | images: unknown key; did you mean calibration.images?
weights=x  onnx                               | onnx: a setting is key=value
weights=x  protocol.epochs=3                  | protocol.epochs: this script has no such key
"""


def rows(script: str, table: str):
    for line in table.strip().splitlines():
        command, *parts = (part.strip() for part in line.split("|"))
        yield pytest.param(script, command.split("  "), parts, id=f"{script} {command}")


CASES = [*rows("search", SEARCH), *rows("train", TRAIN), *rows("export", EXPORT)]


@pytest.fixture(scope="module", autouse=True)
def _hydra():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def given(script: str, words: list[str]):
    """What a script makes of its command line, as `run_script` does."""
    settings_class = BY_SCRIPT[script]
    with user_errors():
        words = with_short_numbers(with_texts_quoted([word.strip() for word in words if word.strip()], settings_class))
        check_words(words, settings_class)
        return settings_from(compose(script, overrides=words), settings_class)


@pytest.mark.parametrize(("script", "words", "parts"), CASES)
def test_one_line_says_what_was_probably_meant(script, words, parts):
    with pytest.raises(UserError) as error:
        given(script, words)
    line = str(error.value)
    assert len(line.splitlines()) == 1
    for part in parts:
        assert part in line


def test_there_are_enough_of_them():
    assert len(CASES) >= 60


@pytest.mark.parametrize(
    ("word", "limit"), [("600M", 600e6), ("0.6G", 600e6), ("600m", 600e6), ("625e6", 625e6), ("450000k", 450e6)]
)
def test_limits_are_read_as_people_write_them(word, limit):
    assert given("search", [f"constraint.max_macs={word}"]).constraint.max_macs == limit
    assert given("search", [f"strategy.window.max_macs={word}"]).strategy.window.max_macs == limit


def test_a_sweep_over_short_numbers_has_numbers():
    assert with_short_numbers(["-m", "constraint.max_macs=450M,0.5G"]) == ["-m", "constraint.max_macs=450e6,0.5e9"]
    assert with_short_numbers(["study=600M", "constraint.max_macs=x,500M"]) == [
        "study=600M",
        "constraint.max_macs=x,500M",
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["constraint=[flops_600m,params_9m]", "logger=[csv,wandb]"],
        ["-m", "constraint=flops_600m,params_9m", "seed=0,1"],
        ["--cfg", "job"],
        ["--cfg", "job", "--package", "constraint"],
        ["seed=1", "seed=2"],  # the last one counts, as scripts that append to a command expect
        ["~experiment"],
        ["runs_dir=a b"],
    ],
)
def test_what_can_be_meant_is_let_through(words):
    check_words(with_texts_quoted(words, BY_SCRIPT["search"]), BY_SCRIPT["search"])


def test_a_launcher_that_is_not_installed_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "hydra_plugins.hydra_joblib_launcher", None)
    monkeypatch.setattr("nars.advice.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"hydra/launcher=joblib: not installed; pip install -r requirements-launchers\.txt"
    ):
        check_words(["-m", "hydra/launcher=joblib"], BY_SCRIPT["search"])
    with pytest.raises(UserError, match=r"tune_recipe: not installed; pip install -r requirements-optuna-sweeper\.txt"):
        check_words(["-m", "hydra/sweeper=tune_recipe"], BY_SCRIPT["train"])
