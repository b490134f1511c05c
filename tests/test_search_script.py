"""`search.py` as a person runs it: whole runs, kills, sweeps, wrong input."""

import contextlib
import io
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from PIL import Image
from rich.console import Console

import nars
from nars.commands.search import Search
from nars.configuration import one_line_errors, settings_from
from nars.errors import UserError
from nars.settings import SearchSettings

ROOT = Path(__file__).parents[1]
SMOKE = ["experiment=smoke", "protocol.steps_per_epoch=6", "predictor.pretrain.epochs=2", "confirm.pairs=0"]
LIVE = 'id="live"'
CONFIRMED = ["confirm.pairs=2", "reference=timm:test_efficientnet"]


def command(*arguments: str, runs: Path) -> list[str]:
    flags = [argument for argument in arguments if argument.startswith("-")]
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    return [sys.executable, "search.py", *flags, *SMOKE, f"runs_dir={runs}", *overrides]


def run(*arguments: str, runs: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(*arguments, runs=runs), cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )


def run_here(*overrides: str, runs: Path) -> str:
    """The output of the same run without the seconds that a new process takes to import; UserErrors come through."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("search", overrides=[*SMOKE, f"runs_dir={runs}", *overrides])
    output = io.StringIO()
    Search(settings=settings_from(config, SearchSettings), console=Console(file=output, width=200)).run()
    return output.getvalue()


def ledger(runs: Path) -> list[dict]:
    path = runs / "smoke" / "records.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def answers(runs: Path) -> dict[str, str]:
    folder = runs / "smoke" / "answers"
    return {str(file.relative_to(folder)): file.read_text() for file in sorted(folder.rglob("best-*.yaml"))}


def answered(runs: Path, pattern: str) -> dict:
    """The only file of that name in the answers."""
    [file] = (runs / "smoke" / "answers").glob(pattern)
    return yaml.safe_load(file.read_text())


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, str]:
    """The folder and the output of one uninterrupted run."""
    runs = tmp_path_factory.mktemp("finished")
    done = run(runs=runs)
    assert done.returncode == 0, done.stderr
    return runs, done.stdout


def test_ends_with_a_table_files_and_how_far_to_trust_them(finished):
    runs, output = finished
    assert "Best architecture-recipe pairs with macs <= 2M" in output
    assert "Trained 8 candidates on digits" in output
    assert "reused 0 from the ledger" in output
    assert "Kendall tau" in output
    assert len(ledger(runs)) == 8
    origin = {"data": "digits", "classes": 10, "search_space": "tiny", "recipe_space": "tiny"}
    assert all(record["origin"] == origin for record in ledger(runs))
    files = answers(runs)
    assert [Path(name).name for name in files] == [f"best-{i}.yaml" for i in range(1, 6)]
    best = [yaml.safe_load(text) for text in files.values()]
    assert all(answer["macs"] <= 2e6 for answer in best)
    assert [a["predicted_accuracy"] for a in best] == sorted((a["predicted_accuracy"] for a in best), reverse=True)
    summary = answered(runs, "macs-max-2M-*/search.yaml")
    assert [r["round"] for r in summary["rounds"]] == [1, 2]
    assert summary["held_out_ranking"]["candidates"] == 4
    why_not = "8 candidates are too few to tell where (12 are needed)"
    assert summary["early_stop"] == {"epoch": 2, "correlation_by_epoch": [], "why_not": why_not}
    assert "smoke" in summary["command"]
    assert summary["work"]["trained"] == 8
    assert set(summary["importance"]) > {"lr", "stage2/width"}
    assert summary["slices"].keys() == summary["importance"].keys()
    assert f"Report: {runs / 'smoke/report.html'}" in output
    assert (runs / "smoke/report.html").stat().st_size < 6e6
    study = nars.open_study(runs / "smoke")
    points = study.space().locate_candidate(study.best().candidate)[None]
    predicted = study.predictor().predict(study.space().encode(points))
    assert round(float(predicted[0]), 6) == best[0]["predicted_accuracy"]


@pytest.mark.timeout(900)
def test_a_killed_run_loses_and_repeats_nothing(finished, tmp_path):
    moments = [
        lambda: any((tmp_path / "smoke").rglob("encoder-*.safetensors")),
        lambda: len(ledger(tmp_path)) >= 1,
        lambda: len(ledger(tmp_path)) >= 6,
    ]
    for moment in moments:
        process = subprocess.Popen(
            command(runs=tmp_path), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 250
        while not moment():
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    before = len(ledger(tmp_path))
    page = tmp_path / "smoke" / "report.html"
    assert 'id="live"' in page.read_text()
    done = run(runs=tmp_path)
    assert done.returncode == 0, done.stderr
    assert LIVE not in page.read_text()
    assert f"reused {before} from the ledger" in done.stdout
    keys = [record["key"] for record in ledger(tmp_path)]
    assert len(keys) == len(set(keys)) == 8
    assert answers(tmp_path) == answers(finished[0])


def interrupt(page: Path) -> None:
    """Ctrl-C, once the report says that a search goes on."""
    wait_until(lambda: page.exists() and LIVE in page.read_text())
    os.kill(os.getpid(), signal.SIGINT)


def stopped_search(folder: Path) -> Path:
    """The report of a search that Ctrl-C stopped; where that came too late, on a busy machine, of another one."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start what runs in the background without it
    for attempt in range(3):
        page = folder / str(attempt) / "smoke" / "report.html"
        stopper = threading.Thread(target=interrupt, args=(page,))
        stopper.start()
        try:
            run_here(runs=folder / str(attempt))
        except KeyboardInterrupt:
            return page
        finally:
            stopper.join()
    raise AssertionError("no search was stopped")


def test_a_stopped_search_leaves_a_report_that_does_not_wait_for_news(tmp_path):
    page = stopped_search(tmp_path)
    assert LIVE not in page.read_text()
    assert "not finished, " in page.read_text()


def kill_while_confirming(runs: Path) -> None:
    """Kill the search with -9 once the first of its confirmations is in the ledger."""
    process = subprocess.Popen(
        command("executor.workers=1", *CONFIRMED, runs=runs),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: len(ledger(runs)) > 8 or process.poll() is not None)
    assert process.poll() is None, "the run ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_an_answer_is_confirmed_once_whatever_stops_it(finished, tmp_path):
    before = [line["key"] for line in ledger(finished[0])]
    killed, whole = (shutil.copytree(finished[0], tmp_path / name) for name in ("killed", "whole"))
    kill_while_confirming(killed)
    output = run_here(*CONFIRMED, runs=killed)
    known = len(ledger(killed)) - 8
    assert 2 <= known <= 3  # and the reference; a pair of the evolution may have been trained in a round
    assert output.count("confirming ") == 1 + output.count("  confirming ")
    run_here(*CONFIRMED, runs=whole)
    keys = [line["key"] for line in ledger(whole)]
    assert keys[:8] == before
    assert sorted(keys) == sorted(line["key"] for line in ledger(killed))
    assert len(set(keys)) == len(keys)
    assert answers(killed) == answers(whole)

    # The answer of the same settings without a confirmation stays; this one is ranked by what the ledger says.
    old = [Path(name).parent for name in answers(finished[0])]
    [folder] = {Path(name).parent for name in answers(whole)} - set(old)
    pairs = [yaml.safe_load(answers(whole)[str(folder / f"best-{i}.yaml")]) for i in range(1, 6)]
    accuracies = {
        json.dumps(line["architecture"]) + json.dumps(line["recipe"]): line["accuracies"][-1] for line in ledger(whole)
    }
    accuracy_of = {line["key"]: line["accuracies"][-1] for line in ledger(whole)}
    measured = [pair.get("measured_accuracy") for pair in pairs]
    for pair in pairs:
        if "measured_accuracy" in pair:
            content = json.dumps(pair["architecture"]) + json.dumps(pair["recipe"])
            assert pair["measured_accuracy"] == pytest.approx(accuracies[content], abs=1e-6)
            assert (pair["measured_seeds"], pair["measured_epochs"]) == (1, 2)
    shown = [accuracy for accuracy in measured if accuracy is not None]
    assert len(shown) >= 2
    assert measured == sorted(shown, reverse=True) + [None] * (5 - len(shown))
    summary = yaml.safe_load((whole / "smoke" / "answers" / folder / "search.yaml").read_text())
    assert summary["work"]["trained"] + summary["work"]["reused"] == len(keys)
    confirmed = {key for pair in summary["confirmation"]["pairs"] for key in pair["keys"]}
    reference = summary["confirmation"]["reference"]
    assert reference["accuracies"] == [accuracy_of[reference["keys"][0]]]
    assert reference["costs"]["macs"] > 2e6  # outside of the limit, and never an answer
    confirmed |= set(reference["keys"])
    assert set(keys) - set(before) <= confirmed <= set(keys)

    # Another limit takes over what keeps it.
    run_here(*CONFIRMED, "constraint.max_macs=1.95e6", runs=whole)
    second = answered(whole, "macs-max-1.95M-*/search.yaml")
    costs = {key: pair["costs"]["macs"] for pair in summary["confirmation"]["pairs"] for key in pair["keys"]}
    taken = {key for pair in second["confirmation"]["pairs"] for key in pair["keys"]}
    assert second["confirmation"]["reference"] == reference
    assert {key for key, macs in costs.items() if macs <= 1.95e6} <= taken
    assert second["work"]["trained"] == len(ledger(whole)) - len(keys)
    assert "nothing would be trained" in run_here(*CONFIRMED, "dry_run=true", runs=whole)
    plan = run_here("confirm.pairs=3", "confirm.seeds=2", "dry_run=true", runs=whole)
    assert "The confirmation of the answer would train " in plan


def kill_a_worker(driver: int, runs: Path) -> None:
    """Kill with -9 one process that trains for `driver`, once a training has finished its first epoch."""
    wait_until(lambda: any(file.stat().st_size for file in runs.rglob("epochs.jsonl")))
    children = Path(f"/proc/{driver}/task/{driver}/children").read_text().split()
    worker = next(pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(int(worker), signal.SIGKILL)


def wait_until(condition, seconds: float = 250) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def search_into(results, *overrides: str, runs: Path) -> None:
    results.put(run_here(*overrides, runs=runs))


@pytest.mark.skipif(sys.platform != "linux", reason="finds worker processes in /proc")
def test_two_searches_at_the_same_time_share_the_trainings(finished, tmp_path):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    arguments = {"args": (results, "executor.workers=1"), "kwargs": {"runs": tmp_path}}
    searches = [context.Process(target=search_into, **arguments) for _ in range(2)]
    for search in searches:
        search.start()
    kill_a_worker(searches[0].pid, tmp_path)
    outputs = [results.get(timeout=250) for _ in searches]
    for search in searches:
        search.join()
    keys = [record["key"] for record in ledger(tmp_path)]
    assert len(keys) == len(set(keys)) == 8
    assert all(record["status"] == "finished" for record in ledger(tmp_path))
    assert sum(int(output.partition("Trained ")[2].split()[0]) for output in outputs) == 8
    assert answers(tmp_path) == answers(finished[0])


@pytest.mark.skipif(sys.platform != "linux", reason="finds worker processes in /proc")
def test_a_lost_training_is_said_at_the_end(tmp_path):
    killer = threading.Thread(target=kill_a_worker, args=(os.getpid(), tmp_path))
    killer.start()
    output = run_here("executor.retries=0", "strategy.rounds=1", runs=tmp_path)
    killer.join()
    assert sorted(record["status"] for record in ledger(tmp_path)) == ["failed"] + ["finished"] * 3
    assert "1 of 4 trainings failed and count for nothing; the first: its worker process died (killed, " in output
    assert "The same command tries them again." in output


def test_a_search_whose_trainings_all_fail_stops_with_the_reason(tmp_path):
    with pytest.raises(UserError) as error:
        run_here("strategy.batch=2", "executor.retries=0", "executor.max_training_seconds=0.2", runs=tmp_path)
    assert str(error.value) == (
        "round 1 of 2: all 2 trainings failed; the first: stopped after executor.max_training_seconds=0.2; put it "
        "right and run the same command again"
    )
    assert [record["status"] for record in ledger(tmp_path)] == ["failed"] * 2


def last_words(capsys, *overrides: str, runs: Path) -> str:
    """What a run that cannot go on prints as it ends with exit code 2."""
    with pytest.raises(SystemExit) as stop, one_line_errors():
        run_here(*overrides, runs=runs)
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(mount_disk, tmp_path, capsys):
    disk = mount_disk("ro")
    assert last_words(capsys, runs=disk) == (
        f"error: {disk / 'smoke'}: Read-only file system; free space or fix permissions, then run the same command "
        "again\n"
    )


def test_a_file_in_the_way_is_named(tmp_path, capsys):
    (tmp_path / "smoke").write_text("")
    assert f"error: {tmp_path / 'smoke'}: File exists; " in last_words(capsys, runs=tmp_path)
    assert f"error: {tmp_path / 'smoke' / 'smoke'}: Not a directory; " in last_words(capsys, runs=tmp_path / "smoke")


def test_a_full_disk_ends_the_search_with_what_to_do(finished, mount_disk, capsys):
    disk = mount_disk("size=2m")
    shutil.copytree(finished[0] / "smoke" / "predictors", disk / "smoke" / "predictors")
    with open(disk / "ballast", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 512)
    words = last_words(capsys, runs=disk)
    assert words.startswith("error: ")
    assert words.endswith("No space left on device; free space or fix permissions, then run the same command again\n")
    assert len(words.splitlines()) == 1
    (disk / "ballast").unlink()
    assert ledger(disk) == []


def test_a_sweep_over_constraints_trains_nothing_and_ends_with_all_answers(finished):
    runs, _ = finished
    done = run("-m", "constraint.max_macs=1.0e6,1000,1.5e6", runs=runs)
    assert done.returncode == 1
    assert done.stdout.count("(trained 0, reused 8)") == 2
    assert len(ledger(runs)) == 8
    assert answered(runs, "macs-max-1M-*/best-1.yaml")["macs"] <= 1.0e6
    # The last job took the rounds from the first: its answer is that of a search of its own.
    in_the_sweep = answers(runs)
    run_here("constraint.max_macs=1.5e6", runs=runs)
    assert answers(runs) == in_the_sweep
    # What failed is said where it happened and at the end; the others are put together.
    assert done.stderr.startswith("error: constraint macs <= 1k cannot be met")
    assert "job 1 failed (experiment=smoke" in done.stdout
    assert "1 of 3 jobs failed; the same command tries them again and reuses what is finished" in done.stdout
    page = Path(done.stdout.rpartition("Report of the sweep: ")[2].strip())
    assert "cannot be met" in page.read_text()
    assert (runs / "smoke" / "report.html").stat().st_mtime > page.stat().st_mtime - 60


def test_a_known_answer_is_shown_without_importing_torch(finished):
    runs, output = finished
    before = answers(runs)
    arguments = command(runs=runs)
    again = subprocess.run(
        [arguments[0], "-X", "importtime", *arguments[1:]], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "answered already; to search again, remove " in again.stdout
    assert output[output.index("Best architecture") :] == again.stdout[again.stdout.index("Best architecture") :]
    assert "| torch" not in again.stderr
    assert answers(runs) == before


def test_another_seed_leaves_the_answer_of_the_first(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    before = answers(tmp_path)
    run_here("seed=1", "protocol.epochs=1", "protocol.steps_per_epoch=1", "strategy.rounds=1", runs=tmp_path)
    after = answers(tmp_path)
    assert len(after) == len(before) + 5
    assert before.items() <= after.items()


def test_a_dry_run_says_what_would_be_trained_and_trains_nothing(finished, tmp_path):
    output = run_here("dry_run=true", runs=tmp_path)
    assert "Round 1 would train 4 candidates for 2 epochs and reuse 0: " in output
    assert "(measured just now: " in output
    assert "The rounds after it would train 4 more: at most " in output
    assert "The answer is not confirmed: confirm.pairs=3 would take 7 trainings at most, " in " ".join(output.split())
    assert re.search(
        r"With \d+ at a time at most \(executor\.workers=\d+\) all that takes about ", " ".join(output.split())
    )
    assert not list(tmp_path.iterdir())
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    before = len(ledger(tmp_path))
    assert "nothing would be trained" in run_here("dry_run=true", runs=tmp_path)
    before_files = sorted(tmp_path.rglob("*"))
    output = run_here("dry_run=true", "strategy.rounds=3", runs=tmp_path)
    assert "Round 3 would train 4 candidates" in output
    assert f"(as {before} trainings in the ledger took)" in output
    assert sorted(tmp_path.rglob("*")) == before_files
    assert len(ledger(tmp_path)) == before


@pytest.mark.parametrize("strategy", ["paper", "random", "evolution", "tpe", "reinforce"])
def test_every_strategy_answers_from_search_py(strategy, finished, tmp_path):
    """Each starts its own records; the first batch may coincide with what another strategy trained."""
    if strategy == "tpe":
        pytest.importorskip("optuna", reason="strategy=tpe needs Optuna")
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    output = run_here(f"strategy={strategy}", "protocol.epochs=1", "protocol.steps_per_epoch=2", runs=tmp_path)
    assert "It ranked 4 candidates before they were trained" in output
    summaries = [yaml.safe_load(file.read_text()) for file in tmp_path.rglob("search.yaml")]
    [summary] = [summary for summary in summaries if summary["settings"]["protocol"]["epochs"] == 1]
    assert summary["settings"]["strategy"]["name"] == {"paper": "nars"}.get(strategy, strategy)


def test_rounds_of_one_for_their_seconds_answer_another_limit_from_the_ledger(finished, tmp_path):
    """Also after the confirmation has trained some of theirs for longer, in seconds of its own."""
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    of_one = (
        "strategy.choose=improvement_per_second",
        "strategy.first_batch=4",
        "strategy.batch=1",
        "strategy.rounds=5",
    )
    short = (*of_one, "protocol.epochs=1", "protocol.steps_per_epoch=2", "reference=none")
    output = run_here(*short, "confirm.pairs=2", "confirm.epochs=2", runs=tmp_path)
    assert "round 5: 1 candidate, accuracy after epoch 1 " in output
    again = run_here(*short, "constraint.max_macs=1.9e6", "confirm.pairs=0", runs=tmp_path)
    assert "Trained 0 candidates on digits" in again
    assert "reused 8 from the ledger" in again


def test_a_torn_last_line_is_repaired(finished):
    runs, _ = finished
    with open(runs / "smoke" / "records.jsonl", "a") as file:
        file.write('{"schema": 1, "key": "torn')
    assert "reused 8 from the ledger" in run_here("constraint.max_macs=1.9e6", runs=runs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["constraint.max_macs=0"], "constraint.max_macs: Input should be greater than 0"),
        (["constraint.max_macs=1000"], "cannot be met: the smallest architecture of search_space=tiny needs"),
        (["constraint.max_mac=1e6"], "constraint.max_mac"),
        (["constraint=0"], "constraint.max_macs=..."),
        (
            ["constraint=flops_1m"],
            "constraint=flops_1m: no such option; a limit of your own",
        ),
        (
            ["-m", "constraint=flops_600m,flops_1m"],
            "constraint=flops_1m: no such option; a limit of your own",
        ),
        (["logger=[csv,file]"], "logger=file: no such option; allowed: csv, none"),
        (["strategy.batch=two"], "strategy.batch: Input should be a valid integer"),
        (["data=folder"], "data.root: must be given"),
        (["strategy.rounds=0"], "strategy.rounds: Input should be greater than 0"),
    ],
)
def test_wrong_input_gets_one_clear_line(arguments, message, tmp_path):
    done = run(*arguments, runs=tmp_path)
    assert done.returncode != 0
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not ledger(tmp_path)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["constraint.max_macs=5e5", "constraint.min_params=98e3"], "random architectures keeps it; loosen it"),
        (["strategy.window.max_macs=1000"], "strategy.window macs <= 1k cannot be met"),
        (["data=folder", "data.root=/nowhere"], "/nowhere"),
        (["pretrained=/nowhere.safetensors"], "/nowhere.safetensors"),
        (["trainer.devices=2"], "trainer.devices=2: a search trains each candidate on one device"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_trained(overrides, message, tmp_path):
    with pytest.raises(UserError) as error:
        run_here(*overrides, runs=tmp_path)
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert not ledger(tmp_path)


def test_an_empty_class_folder_is_named(tmp_path):
    (tmp_path / "images" / "cats").mkdir(parents=True)
    (tmp_path / "images" / "dogs").mkdir()
    with pytest.raises(UserError, match="cats"):
        run_here("data=folder", f"data.root={tmp_path / 'images'}", runs=tmp_path)


@pytest.mark.slow
def test_what_is_no_image_is_said_once(tmp_path):
    for name in ("cats", "dogs"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (16, 16), (60 * i, 0, 0)).save(tmp_path / "images" / name / f"{i}.jfif")
        (tmp_path / "images" / name / "9.heic").write_bytes(b"")
    given = ("strategy=random", "dry_run=true", "data=folder", f"data.root={tmp_path / 'images'}")
    output = run_here(*given, runs=tmp_path)
    assert output.count("passed over among the images: no images by name: 2 (2 .heic)\n") == 1


def test_a_ledger_of_another_schema_is_refused(tmp_path):
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "records.jsonl").write_text('{"schema": 99}\n')
    with pytest.raises(UserError, match="ledger schema 99"):
        run_here(runs=tmp_path)


def test_a_corrupted_predictor_file_is_refused(finished, tmp_path):
    path = next((finished[0] / "smoke").rglob("encoder-*.safetensors"))
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"broken\.safetensors"):
        run_here(f"pretrained={broken}", runs=tmp_path)


def test_a_predictor_of_another_space_is_refused(finished, tmp_path):
    path = next((finished[0] / "smoke").rglob("encoder-*.safetensors"))
    with pytest.raises(UserError, match="made for another space"):
        run_here(
            "search_space=fbnetv3",
            f"pretrained={path}",
            "constraint.max_macs=6e8",
            "strategy.window.max_macs=null",
            runs=tmp_path,
        )


def test_help_names_every_group_without_importing_torch():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "search.py", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "| hydra" in done.stderr
    assert "| torch" not in done.stderr
    groups = {folder.name for folder in (ROOT / "conf").iterdir() if folder.is_dir()}
    for group in groups & {*SearchSettings.model_fields, "experiment"}:
        assert f"\n  {group} " in done.stdout
