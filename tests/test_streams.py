"""Terminals of all kinds: text comes out, and what is missing or has gone ends nothing with a traceback."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nars.console import open_console

ROOT = Path(__file__).parents[1]
PRINT = "from nars.console import open_console; import sys; open_console().print(sys.argv[1], soft_wrap=True)"
GONE = """
import sys, time
from nars.console import open_console
from nars.configuration import one_line_errors
from nars.streams import run_and_exit

def main():
    with one_line_errors():
        {}

run_and_exit(main)
"""


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, check=False)


@pytest.fixture
def printed(monkeypatch):
    """A function: what the console prints of a text, on an output of some encoding."""

    def printed(thing, encoding: str = "utf-8", **environment: str) -> str:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        raw = io.BytesIO()
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding))
            open_console().print(thing, soft_wrap=True)
            sys.stdout.flush()
            return raw.getvalue().decode(encoding, "surrogateescape").removesuffix("\n")

    return printed


@pytest.mark.parametrize("text", ["/[v2]/x", "/a[/b]c", "[red]x[/red]", "a:cat:b", "[link=x]y", "café ± …"])
def test_text_is_printed_as_it_is(printed, text):
    assert printed(text) == text


def test_cells_and_titles_of_tables_are_printed_as_they_are(printed):
    from rich.table import Table

    table = Table(title="[b]title[/b] :cat:")
    table.add_column("[v1]")
    table.add_row("[v2] :cat:")
    shown = printed(table)
    assert all(text in shown for text in ("[b]title[/b] :cat:", "[v1]", "[v2] :cat:"))


@pytest.mark.parametrize(
    ("encoding", "text", "shown"),
    [
        ("ascii", "0.86 ± 0.15 …", "0.86 +- 0.15 ..."),
        ("ascii", "café", r"caf\xe9"),
        ("cp1252", "café ± 写", r"café ± \u5199"),
        ("utf-8", "byte \udcff", "byte \udcff"),
    ],
)
def test_a_character_that_the_terminal_lacks_is_written_another_way(printed, encoding, text, shown):
    assert printed(text, encoding) == shown


def test_a_table_has_lines_of_ascii_where_there_are_no_others(printed):
    from rich import box
    from rich.table import Table

    table = Table(title="t", box=box.SIMPLE_HEAD)
    table.add_column("x")
    table.add_row("y")
    assert "\\u" not in printed(table, "ascii")


@pytest.mark.parametrize("columns", ["0", "1"])
def test_a_terminal_without_columns_is_as_wide_as_others(printed, columns):
    assert printed("a word and others", COLUMNS=columns) == "a word and others"
    assert open_console().width == 80


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}, {"TERM": "dumb"}])
def test_a_program_prints_on_a_poor_terminal(environment):
    done = python(PRINT, "[v2] 0.86 ± 0.15", **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() in ("[v2] 0.86 +- 0.15\n", "[v2] 0.86 ± 0.15\n")


def without_a_reader(code: str) -> tuple[int, str]:
    """Exit code and stderr of a program whose output nobody reads."""
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGPIPE")
@pytest.mark.parametrize(
    "output", ["open_console().print('x')", "print('x')", "print('x' * 100000)", "print(flush=True)"]
)
def test_a_reader_that_has_gone_ends_the_program_without_a_word(output):
    assert without_a_reader(GONE.format(output)) == (141, "")


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGPIPE")
def test_another_pipe_that_breaks_is_an_error():
    code = GONE.format("import os; r, w = os.pipe(); os.close(r); os.write(w, b'x')")
    done = python(code)
    assert done.returncode == 1
    assert b"BrokenPipeError" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="closes streams in a shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-", "2> >(exit)"])
def test_a_closed_stream_stops_nothing(closed, tmp_path):
    code = f"""
from pathlib import Path
from nars.streams import complain, run_and_exit
def main():
    file = open({str(tmp_path / "file")!r}, "w")
    print("output")
    complain("a line")
    file.write("content")
    file.close()
    return 3
run_and_exit(main)
"""
    (tmp_path / "program.py").write_text(code)
    line = f'"{sys.executable}" "{tmp_path}/program.py" {closed}; exit $?'
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, check=False)
    assert done.returncode == 3, done.stderr
    assert (tmp_path / "file").read_text() == "content"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no full device")
def test_a_full_disk_under_the_output_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                GONE.format("print('x')").replace("run_and_exit(main)", "with one_line_errors(): run_and_exit(main)"),
            ],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "No space left on device" in done.stderr
