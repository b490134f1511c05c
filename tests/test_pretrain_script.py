"""`pretrain_predictor.py` as a person runs it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(script: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, script, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )


def test_pretraining_says_how_good_it_is_and_is_found_again(tmp_path):
    arguments = ("search_space=tiny", "recipe_space=tiny", f"runs_dir={tmp_path}", "predictor.pretrain.pool_size=1000")
    first = run("pretrain_predictor.py", *arguments, f"output={tmp_path / 'mine.safetensors'}")
    assert first.returncode == 0, first.stderr
    assert "macs: Kendall tau" in first.stdout
    assert (tmp_path / "mine.safetensors").exists()
    again = run("pretrain_predictor.py", *arguments)
    assert "already pretrained" in again.stdout
