"""All candidates of a report as one table for other programs."""

import csv
import io
from collections.abc import Sequence

from nars.costs.table import known
from nars.reporting.facts.describe import dimensions
from nars.reporting.facts.sections import Section, Trained


def candidates_csv(sections: Sequence[Section]) -> str:
    """CSV with a head of what `candidate_rows` says; empty where a candidate has no such value."""
    rows = candidate_rows(sections)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def candidate_rows(sections: Sequence[Section]) -> list[dict]:
    """One row for each candidate of each section, with values for all costs, recipe keys and dimensions of its
    architecture."""
    return [_row(section, candidate) for section in sections for candidate in section.trained]


def _row(section: Section, candidate: Trained) -> dict:
    record = candidate.record
    measured = None if record.status == "failed" else section.accuracy(candidate)
    return {
        "study": section.study.folder.name,
        "search": section.name,
        "round": candidate.round or None,
        "name": record.candidate.name,
        "key": record.key,
        "status": record.status,
        "accuracy": measured,
        "epoch": section.epoch,
        "epochs": len(record.accuracies),
        "predicted": candidate.predicted,
        **{name: record.costs[name] for name in known(record.costs)},
        "seconds": record.seconds,
        **record.recipe,
        **dimensions({"architecture": record.architecture, "recipe": {}}),
    }
