"""Commands for people to copy, and texts on the command line: what arrives is what was written."""

import shlex
import subprocess

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from nars.errors import UserError
from nars.overrides import text_keys, with_texts_quoted
from nars.settings import PrepareSettings, PretrainScriptSettings, SearchSettings, Settings, TrainSettings
from nars.shell import command, override

AS_WRITTEN = [
    "café",
    "写真",
    "O'Brien",
    'the "best"',
    "my photos (2019)",
    "photos(2019)",
    "a=b",
    "a#b",
    "a:b",
    "a: b",
    "a, b",
    "a,b,c",
    "[v2]/x",
    "a[/b]c",
    "{x}",
    "$HOME",
    "100%",
    "a;b&c|d`e`!",
    "~/photos",
    "~someone/x",
    "2012",
    "007",
    "1e5",
    ".5",
    "1_000",
    "nan",
    "true",
    "Null",
    "C:\\photos\\",
    " led",
    "trailed ",
    "tab\there",
    "new\nline",
    "?",
    "[",
    "'",
    '"',
]
PIECES = ["a", "Z", "0", "1", "e", "_", "-", ".", "/", "\\", '"', "'", "(", ")", "[", "]", "{", "}", "$", "${", "${a}"]
PIECES += [
    "=",
    "#",
    ":",
    ",",
    "%",
    " ",
    "\t",
    "\n",
    "~",
    "é",
    "写",
    "*",
    "?",
    "|",
    "&",
    "null",
    "true",
    "+",
    "!",
    "`",
    "@",
]


def random_texts(n: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(PIECES, size=rng.integers(1, 9))) for _ in range(n)]


def arrived(*arguments: str, settings_class=SearchSettings):
    """The value of the last argument as the program sees it, or the values of a sweep."""
    word = with_texts_quoted(arguments, settings_class)[-1]
    [parsed] = OverridesParser.create().parse_overrides([word])
    if not parsed.is_sweep_override():
        return resolved(parsed.value())
    jobs = OverridesParser.create().parse_overrides([f"key={text}" for text in parsed.sweep_string_iterator()])
    return [resolved(job.value()) for job in jobs]


def resolved(value):
    config = OmegaConf.create({"a": "looked up"})
    config.key = value
    return OmegaConf.to_container(config, resolve=True)["key"]


@pytest.mark.parametrize("text", AS_WRITTEN)
def test_a_text_arrives_as_it_is_written(text):
    assert arrived(f"data.root={text}") == text


def test_any_text_arrives_as_it_is_written():
    for text in random_texts(500, seed=0):
        if not set(text) & set("'\"\\") and "${" not in text and text != "null":
            assert arrived(f"data.root={text}") == text, text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'quoted'", "quoted"),
        ('"a, b"', "a, b"),
        (r"a\ b\,c", "a b,c"),
        ("${a}", "looked up"),
        ("${a}/photos (2019)", "looked up/photos (2019)"),
        ("", ""),
    ],
)
def test_what_hydra_reads_as_a_text_stays(text, value):
    assert arrived(f"data.root={text}") == value


def test_null_is_nothing_where_a_key_may_be_null():
    assert arrived("pretrained=null") is None
    assert arrived("data.val_root=null") is None
    assert arrived("data.root=null") == "null"
    assert arrived("pretrained='null'") == "null"


@pytest.mark.parametrize(
    "key", ["seed", "constraint.max_macs", "search_space.resolution", "recipe_space.lr", "nothing"]
)
def test_other_keys_are_left_alone(key):
    for value in ("2012", "[1,2]", "é", "a,b"):
        assert with_texts_quoted([f"{key}={value}", value, "--help"], SearchSettings) == [
            f"{key}={value}",
            value,
            "--help",
        ]


@pytest.mark.parametrize(
    ("values", "each"),
    [
        ("a,b", ["a", "b"]),
        ("2012, 2013", ["2012", "2013"]),
        ("/O'Brien,/b", ["/O'Brien", "/b"]),
        ("'a,b',c", ["a,b", "c"]),
        ("photos (2019),[x],é", ["photos (2019)", "[x]", "é"]),
        ("choice(a,b)", ["a", "b"]),
        ("~/x,${a}", ["~/x", "looked up"]),
        ("007", "007"),
    ],
)
def test_commas_part_the_values_of_a_sweep(values, each):
    for flag in ("-m", "--multirun"):
        assert arrived(flag, f"data.root={values}") == each


def test_bytes_that_are_no_text_are_refused_in_one_line():
    with pytest.raises(UserError) as error:
        arrived("data.root=/photos/\udcff")
    assert str(error.value).startswith(r"'data.root=/photos/\udcff': holds bytes that are no UTF-8")


def test_folders_of_hydra_may_begin_at_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/é")
    assert arrived("hydra.sweep.dir=~/sweeps (1)") == "/home/é/sweeps (1)"


def test_every_path_and_name_is_a_text_key():
    everywhere = {"study": False, "runs_dir": False, "data.root": False, "data.val_root": True}
    folders = {"data.root": False, "data.val_root": True, "data.split_file": True}
    assert text_keys(SearchSettings).items() >= (everywhere | {"pretrained": True, "executor.address": True}).items()
    ours = {"candidate": False, "weights": True, "teacher.weights": True, "teacher.candidate": True}
    assert text_keys(TrainSettings).items() >= (everywhere | ours).items()
    assert text_keys(PretrainScriptSettings)["output"]
    assert text_keys(PrepareSettings) == folders | {"output": False}
    assert text_keys(TrainSettings)["logger.wandb.entity"]


def test_a_key_that_is_a_text_in_one_option_alone_is_read_as_hydra_reads_it():
    class Names(Settings):
        train: str
        root: str

    class Numbers(Settings):
        train: int
        root: str | None = None

    class Script(Settings):
        data: Names | Numbers

    assert text_keys(Script) == {"data.root": True}
    assert with_texts_quoted(["data.train=2012", "data.root=2012"], Script) == ["data.train=2012", 'data.root="2012"']


@pytest.mark.parametrize("text", [*AS_WRITTEN, "${a}", "\\${a}", "'quoted'", r"a\ b", "-x", "x\\", '\\"'])
def test_a_printed_command_gives_the_text_through_shell_and_hydra(text):
    words = shlex.split(command("train.py", override("candidate", text)))
    assert words[:2] == ["python", "train.py"]
    assert arrived(words[2], settings_class=TrainSettings) == text
    assert arrived("-m", words[2], settings_class=TrainSettings) == text
    assert resolved(OverridesParser.create().parse_override(words[2]).value()) == text  # also without our quotes


def test_any_text_comes_through_shell_and_hydra():
    for text in random_texts(500, seed=1):
        [word] = shlex.split(override("candidate", text))
        assert arrived("-m", word, settings_class=TrainSettings) == text, text
    texts = random_texts(100, seed=2)
    script = "printf '%s\\0' " + " ".join(override("k", text) for text in texts)
    words = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout.decode().split("\0")[:-1]
    assert words == [shlex.split(override("k", text))[0] for text in texts]


def test_a_plain_path_is_printed_plainly():
    assert override("candidate", "runs/digits/answers/macs-max-600M-313c00/best-1.yaml") == (
        "candidate=runs/digits/answers/macs-max-600M-313c00/best-1.yaml"
    )
    assert override("pretrained", "../x_1.safetensors") == "pretrained=../x_1.safetensors"


def test_a_command_names_the_script_where_the_running_one_lies(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/my code/search.py"])
    assert command("train.py", "x=1") == "python '/my code/train.py' x=1"
    monkeypatch.setattr("sys.argv", ["/lib/nars/reporting/__main__.py"])
    assert command("train.py") == "python train.py"
