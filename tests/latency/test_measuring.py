"""Measuring: what is missing, in interleaved passes, on the device that a table belongs to."""

import io
import stat
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hydra import compose, initialize_config_dir
from rich.console import Console

from nars.commands.latency import measure_latency
from nars.configuration import settings_from
from nars.errors import UserError
from nars.latency.backends import open_backend
from nars.latency.measure import measure
from nars.latency.table import LINES, read_device, read_table, write_device
from nars.settings import MeasureSettings

CONF = Path(__file__).parents[2] / "conf"
SMALL = ("search_space=tiny", "search_space.resolution=32", "search_space.stem_width=8")


@pytest.fixture
def settings_of(tmp_path):
    """A function: the settings of a command line, whose table is a new folder."""

    def made(*overrides: str) -> MeasureSettings:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            given = [*SMALL, f"table={tmp_path / 'table'}", *overrides]
            return settings_from(compose("measure_latency", overrides=given), MeasureSettings)

    return made


def run(settings: MeasureSettings) -> str:
    """What is said."""
    console = Console(file=io.StringIO(), width=200)
    measure_latency(settings, console)
    return console.file.getvalue()


@pytest.fixture
def size_in_ms(tmp_path) -> Path:
    """A command that says of a model how many kilobytes it has, as milliseconds, and notes that it was called; it fails
    at the call whose number stands in `fails_at`."""
    script = tmp_path / "size.sh"
    script.write_text(
        f'echo call >> "{tmp_path}/calls"\n'
        f'n=$(wc -l < "{tmp_path}/calls")\n'
        f'if [ "$n" = "$(cat "{tmp_path}/fails_at" 2>/dev/null)" ]; then echo broken >&2; exit 3; fi\n'
        'bytes=$(wc -c < "$1")\n'
        'echo "model $1 took: $bytes ms"\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def calls(tmp_path) -> int:
    return len((tmp_path / "calls").read_text().splitlines())


def test_a_command_measures_what_is_missing(settings_of, size_in_ms, tmp_path):
    given = ("backend=command", f"command=sh {size_in_ms}", "check_networks=0")
    said = run(settings_of(*given, "entries=12"))
    assert "12 blocks, 0 of them known" in said
    assert "search with it: python search.py search_space=tiny latency.table=" in said
    first = read_table(tmp_path / "table")
    assert len(first.entries) == calls(tmp_path) == 12
    assert all(len(several) == 1 for several in first.measurements.values())  # a command is trusted with its passes
    assert "12 blocks, 12 of them known" in run(settings_of(*given, "entries=12"))
    assert calls(tmp_path) == 12
    assert "16 blocks, 12 of them known" in run(settings_of(*given, "entries=16"))  # more begin with fewer
    assert calls(tmp_path) == 16
    assert first.entries.items() <= read_table(tmp_path / "table").entries.items()
    assert first.file.device.clock == "given"


def test_what_was_measured_before_a_failure_is_kept(settings_of, size_in_ms, tmp_path):
    settings = settings_of("backend=command", f"command=sh {size_in_ms}", "check_networks=0", "entries=9")
    for attempt, measured in ((1, 0), (4, 2), (9, 6)):
        (tmp_path / "fails_at").write_text(str(attempt))
        with pytest.raises(UserError) as error:
            run(settings)
        assert "ended with 3 and no milliseconds for model_" in str(error.value)
        assert str(error.value).endswith("it said: broken")
        known = len(read_table(tmp_path / "table").entries) if (tmp_path / "table" / LINES).exists() else 0
        assert known == measured
    run(settings)
    assert len(read_table(tmp_path / "table").entries) == 9
    assert calls(tmp_path) == 9 + 3


def test_whole_networks_scale_the_sums(settings_of, size_in_ms, tmp_path):
    """A network's file is about as large as those of its blocks together."""
    said = run(settings_of("backend=command", f"command=sh {size_in_ms}", "entries=25", "check_networks=3"))
    file = read_device(tmp_path / "table")
    assert file.check.networks == 3
    assert file.check.mape < 0.1
    assert "of the blocks predicted" in said
    assert "3 whole networks" in said


def test_a_table_is_one_device_s(settings_of, tmp_path):
    given = ("backend=torch", "entries=2", "check_networks=0", "passes=1")
    run(settings_of(*given))
    with pytest.raises(UserError) as error:
        run(settings_of(*given, "batch=2"))
    assert str(error.value) == (
        f"table={tmp_path / 'table'}: was measured with batch 1, now 2; give another folder: table=..."
    )
    (tmp_path / "table" / "device.yaml").unlink()
    with pytest.raises(UserError, match="does not say whose it is"):
        run(settings_of(*given))


def test_pytorch_measures_with_the_time_of_its_core(settings_of, tmp_path):
    run(settings_of("backend=torch", "entries=4", "check_networks=3", "passes=2"))
    known = read_table(tmp_path / "table")
    assert all(len(several) == 2 and min(several) > 0 for several in known.measurements.values())
    device = known.file.device
    assert (device.backend, device.clock, device.threads, device.batch) == ("torch", "cpu", 1, 1)
    assert device.version == torch.__version__.partition("+")[0]
    assert known.file.check is None  # four blocks are too few to predict networks from


def test_of_a_candidate_only_its_blocks_are_measured(settings_of, tmp_path):
    settings = settings_of("backend=torch", "candidate=fbnet_a", "passes=1", "num_classes=10")
    assert 15 < len(set(_asked_of(settings))) < 40
    with pytest.raises(UserError, match="candidate=timm:resnet18: networks of timm have other blocks"):
        _asked_of(settings_of("candidate=timm:resnet18"))


def _asked_of(settings):
    from nars.commands.latency import _asked
    from nars.spaces.architecture import ArchitectureSpace

    return _asked(settings, ArchitectureSpace(settings.search_space))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["backend=torch", "device=cuda"], "device=cuda: PyTorch finds no GPU here; "),
        (["device=cuda"], "device=cuda: PyTorch finds no GPU here; "),
        (["backend=command"], "backend=command: give the command, "),
        (["backend=networks"], "backend=networks: give the file of whole networks "),
        (["backend=networks", "networks=/nowhere.csv"], "networks=/nowhere.csv: cannot be read"),
        (["backend=command", "command='true'", "entries=1"], "command=true: ended with 0 and no milliseconds"),
        (["backend=command", "command=echo zero", "entries=1"], "command=echo zero: ended with 0 and no milliseconds"),
    ],
)
def test_what_cannot_be_measured_is_one_line(settings_of, given, words):
    if "device=cuda" in given and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError) as error:
        run(settings_of(*given))
    assert str(error.value).startswith(words)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("asked", "passes"), [(7, 3), (10, 1), (4, 6)])
def test_passes_are_interleaved_within_groups(asked, passes):
    order = []

    def prepared(number):
        return lambda: lambda: order.append(number) or 0.5

    backend = SimpleNamespace(quick=False, device=SimpleNamespace(device="cpu"))
    left = [passes - (number % 2) for number in range(asked)]
    timings = list(measure([prepared(n) for n in range(asked)], left, backend, group=4))
    assert Counter(timed.number for timed in timings) == Counter({n: k for n, k in enumerate(left) if k})
    assert all(timed.ms == 500.0 for timed in timings)
    for start in range(0, asked, 4):
        numbers = [n for n in order if start <= n < start + 4]
        for number in range(start, min(start + 4, asked)):
            places = [i for i, n in enumerate(numbers) if n == number]
            assert all(after - before > 1 for before, after in pairwise(places))


def test_threads_of_pytorch_are_as_before(settings_of):
    before = torch.get_num_threads()
    with open_backend(settings_of("backend=torch", "threads=2")) as backend:
        assert torch.get_num_threads() == 2
        assert backend.device.clock == "wall"  # a thread's own time would not count the others
    assert torch.get_num_threads() == before


def test_a_description_alone_is_no_table(settings_of, tmp_path):
    settings = settings_of("backend=torch", "entries=2", "check_networks=0", "passes=1")
    with open_backend(settings) as backend:
        device = backend.device
    write_device(tmp_path / "table", read_device(tmp_path).model_copy(update={"device": device}))
    assert "2 blocks, 0 of them known" in run(settings)
