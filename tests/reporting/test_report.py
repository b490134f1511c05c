"""The report as a file: what it holds, how large it is, and `python -m nars.reporting`."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from markupsafe import escape

from nars.errors import UserError
from nars.reporting.facts.describe import dimensions
from nars.reporting.facts.sections import sections_of
from nars.reporting.page.report import write_report
from nars.study.folder import read_study

ROOT = Path(__file__).parents[2]


def rebuild(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "nars.reporting", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def page_without_plotly(path: Path) -> str:
    """The page without Plotly's own script, which holds every word there is."""
    before, script, after = path.read_text().partition('<script type="text/plain" id="plotly">')
    assert script
    return before + after.partition("</script>")[2]


def test_says_where_the_answer_comes_from(finished, finished_run):
    text = page_without_plotly(write_report([finished]))
    summary = finished_run.summary
    assert f"python train.py candidate={finished_run.folder / 'best-5.yaml'}" in text
    for word in (summary.command, summary.versions["torch"], summary.git_commit or "not in a git clone"):
        assert escape(word) in text
    assert "out of &lt;memory&gt; &amp; more" in text
    assert "out of <memory>" not in text


def test_every_row_has_what_stands_next_to_another_one(finished, finished_run):
    rows = [json.loads(pair) for pair in re.findall(r"data-pair='([^']*)'", write_report([finished]).read_text())]
    [section] = sections_of(read_study(finished))
    pairs = [*finished_run.answers, *(candidate.record.candidate.to_dict() for candidate in section.trained)]
    assert [list(row["choices"].items()) for row in rows] == [list(dimensions(pair).items()) for pair in pairs]
    best, trained = rows[0], rows[len(finished_run.answers)]
    assert (best["name"], best["facts"]["measured"]) == (f"{finished_run.summary.constraint}, pair 1", "-")
    assert best["facts"]["predicted"].startswith(f"{finished_run.answers[0]['predicted_accuracy']:.3f} (")
    first = section.trained[0]
    assert trained["name"] == first.record.candidate.name
    assert trained["facts"]["measured"] == f"{section.accuracy(first):.3f}"
    assert "failed" in {row["facts"]["measured"] for row in rows}


def test_is_one_file_below_6_mb_and_names_no_address(finished):
    path = write_report([finished])
    assert path.stat().st_size < 6e6
    text = page_without_plotly(path)
    assert "http" not in text
    assert 'src="' not in text
    assert "<link" not in text


def test_is_rebuilt_from_the_command_line_without_torch(finished):
    path = finished / "report.html"
    written = write_report([finished])
    before = written.read_text()
    path.unlink()
    done = rebuild(finished)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"written: {path}\n"
    assert path.read_text() == before
    code = "import sys, nars.reporting.page.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_several_studies_make_one_report(finished, tiny_maker, tmp_path):
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4")
    maker.run_rounds()
    output = tmp_path / "both.html"
    text = page_without_plotly(write_report([finished, maker.folder], output))
    assert "planted" in text
    assert "tiny, strategy=random, macs &lt;= 2M: not finished, 1 of 1 rounds done" in text
    assert text.count("How to reproduce it") == 2


def test_several_studies_are_reported_where_all_of_them_lie(tiny_maker):
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4")
    maker.run_rounds()
    other = shutil.copytree(maker.folder, maker.folder.with_name("other"))
    assert write_report([maker.folder, other]) == maker.folder.parent / "report.html"


def test_a_wrong_folder_gets_one_line(tmp_path):
    done = rebuild(tmp_path / "nowhere")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / 'nowhere'}: no study")
    assert len(done.stderr.splitlines()) == 1


def test_a_failed_writing_leaves_the_old_page(finished, tmp_path):
    output = tmp_path / "page.html"
    write_report([finished], output)
    before = output.read_text()
    with pytest.raises(UserError):
        write_report([tmp_path / "nowhere"], output)
    assert output.read_text() == before
    assert sorted(tmp_path.iterdir()) == [tmp_path / "page.csv", output]


def test_all_candidates_are_in_a_table_beside_the_page_and_in_it(finished, tmp_path):
    path = write_report([finished], tmp_path / "page.html")
    text = (tmp_path / "page.csv").read_text()
    [link] = re.findall(r'download="candidates.csv" href="data:text/csv;charset=utf-8,([^"]*)"', path.read_text())
    assert unquote(link) == text
    rows = list(csv.DictReader(io.StringIO(text)))
    [section] = sections_of(read_study(finished))
    assert len(rows) == len(section.trained) == 90
    for row, candidate in zip(rows, section.trained, strict=True):
        record = candidate.record
        assert row["key"] == record.key
        assert float(row["macs"]) == record.costs["macs"]
        assert float(row["lr"]) == record.recipe["lr"]
        assert int(row["stage3/width"]) == record.architecture["stages"][2]["width"]
        assert (row["accuracy"] == "") == (record.status == "failed")
        assert row["accuracy"] == "" or float(row["accuracy"]) == section.accuracy(candidate)
