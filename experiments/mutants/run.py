"""Which small changes of the code do the fast tests notice? mutmut on a random sample of its mutants.

What is mutated and which tests look at it stands in pyproject.toml, `[tool.mutmut]`; work goes on in `mutants/`.
"""

import argparse
import json
import platform
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from mutmut.configuration import config
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import get_mutant_name

from experiments.tables import markdown_table, write_found

MUTMUT = Path(sys.executable).with_name("mutmut")
NOTICED = ("killed", "timeout", "segfault")


def mutants_of(path: Path) -> list[str]:
    """Names of all mutants of a file, as mutmut makes them."""
    names = mutate_file_contents(str(path), path.read_text()).mutant_names
    return [get_mutant_name(path, name) for name in names]


def statuses(path: Path) -> dict[str, str]:
    """What came of the mutants of a file, by name."""
    values = json.loads((Path("mutants") / f"{path}.meta").read_text())["exit_code_by_key"]
    return {name: status_by_exit_code[code] for name, code in values.items()}


def show(name: str) -> str:
    """The lines that a mutant changes."""
    shown = subprocess.run([MUTMUT, "show", name], capture_output=True, text=True, check=True).stdout.splitlines()
    return "\n".join(line for line in shown if line[:1] in "+-" and line[:3] not in ("+++", "---"))


def main() -> None:
    """Run the sample, write the score by folder, and print every mutant that was not noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=400, help="mutants drawn at random; 0 for all")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--only", default="nars/", help="files whose path begins so; nothing is written for a part")
    arguments = parser.parse_args()
    files = [path for path in walk_mutatable_files() if str(path).startswith(arguments.only)]
    everything = {name: path for path in sorted(files) for name in mutants_of(path)}
    size = min(arguments.sample or len(everything), len(everything))
    drawn = random.Random(arguments.seed).sample(sorted(everything), size)
    if subprocess.run([MUTMUT, "run", "--max-children", "1", *drawn], check=False).returncode:
        sys.exit("mutmut could not begin: the tests must pass on the code as it is")
    found = {}
    for path in files:
        found |= statuses(path)
    outcomes = {name: found[name] for name in drawn}
    if stopped := sum(status.startswith(("not checked", "check was")) for status in outcomes.values()):
        sys.exit(f"stopped before {stopped} of {size} mutants were tried")
    for name in sorted(drawn):
        if outcomes[name] not in NOTICED:
            print(f"\n{name}: {outcomes[name]}\n{show(name)}")
    folders = {name: str(path.parent) for name, path in everything.items()}
    table = markdown_table(*score_table(drawn, folders, outcomes))
    about = (
        f"{size:,} of {len(everything):,} mutants of {len(files)} files, drawn with seed {arguments.seed}, "
        f"{platform.system()} {platform.machine()}:"
    )
    if arguments.only == "nars/":
        write_found(__file__, f"{about}\n\n{table}")
    else:
        print(f"\n{about}\n\n{table}")


def score_table(drawn: list[str], folders: dict[str, str], outcomes: dict[str, str]) -> tuple[list, list]:
    """Header and rows: by folder and for all, how many of the drawn mutants were noticed."""
    rows = []
    for folder in [*sorted(set(folders.values())), "all"]:
        inside = [name for name in drawn if folder in ("all", folders[name])]
        counts = Counter(outcomes[name] for name in inside)
        noticed = sum(counts[status] for status in NOTICED)
        share = f"{noticed / len(inside):.1%}" if inside else ""
        rows.append([folder, len(inside), noticed, counts["timeout"], counts["survived"], counts["no tests"], share])
    return ["folder", "mutants", "noticed", "of these by time", "survived", "not reached", "noticed, share"], rows


if __name__ == "__main__":
    assert config().only_mutate, "pyproject.toml names the files"
    main()
