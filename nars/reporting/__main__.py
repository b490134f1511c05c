"""Rebuild reports: `python -m nars.reporting runs/digits`; several folders make one report, a sweep's its page.
`--status` says how far studies are."""

import argparse
from pathlib import Path

from nars.errors import UserError
from nars.reporting.facts.status import status_line
from nars.reporting.page.report import write_report
from nars.reporting.screen.sweeps import show_outcomes
from nars.streams import complain, run_and_exit
from nars.study.folder import read_study
from nars.study.outcomes import outcome_files


def main() -> int:
    """Write the report that the command line asks for; 2 if it cannot be made, 1 for a sweep that failed."""
    parser = argparse.ArgumentParser(prog="python -m nars.reporting", description="Make the report of a study.")
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="runs/<study>, or one runs/sweeps/<time>"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: report.html in (or above) the folders")
    parser.add_argument("--status", action="store_true", help="one line for each study instead: how far it is")
    arguments = parser.parse_args()
    folder = arguments.folders[0]
    try:
        if arguments.status:
            for study in arguments.folders:
                print(status_line(read_study(study)))
            return 0
        if outcome_files(folder):
            if len(arguments.folders) > 1 or arguments.output is not None:
                raise UserError("the folder of a sweep is given alone; its page is report.html in it")
            return 0 if show_outcomes(folder) else 1
        print(f"written: {write_report(arguments.folders, arguments.output)}")
    except (UserError, OSError) as error:
        complain(f"error: {error}")
        return 2
    return 0


if __name__ == "__main__":
    run_and_exit(main)
