"""How far a study is, in one line."""

from statistics import median

from nars.costs.table import cell
from nars.reporting.facts.courses import Course, courses_of
from nars.reporting.facts.describe import duration
from nars.reporting.facts.sections import sections_of
from nars.study.answers import Run
from nars.study.folder import Study


def status_line(study: Study) -> str:
    """The best accuracy measured within the limit, what is trained and what is left, and how long that may take; of the
    search that goes on, or else of the one that began last."""
    run = (study.held and study.going_on) or max(study.runs, key=lambda run: run.summary.started or "", default=None)
    courses = courses_of(sections_of(study))
    course = next(course for course in courses if course.run is run)
    parts = [_incumbent(course), f"{len(course.section.trained)} trained"]
    if run is not None and run.finished:
        parts.append("finished")
    elif run is not None:
        left = _left(run, len(course.section.trained))
        if run.summary.in_supernet:
            return f"{study.folder.absolute().name}: {', '.join([*parts, run.so_far])}"
        done, rounds = len(run.summary.rounds), run.summary.settings["strategy"]["rounds"]
        parts.append(f"round {min(done + 1, rounds)} of {rounds}")
        parts += [f"{left} pending, {len(study.held)} of them running"] if left else []
        parts.append(_time_left(course, left, len(study.held)))
    elif study.held:
        parts.append(f"{len(study.held)} running")
    return f"{study.folder.absolute().name}: {', '.join(parts)}"


def _incumbent(course: Course) -> str:
    limit = "" if course.constraint == "none" else f" with {course.constraint}"
    if course.incumbent is None:
        return f"nothing measured{limit}"
    record, axis = course.incumbent.record, course.section.axis
    cost = f"{cell(record.costs, axis.name)} {axis.label}, " if axis.name in record.costs else ""
    best = course.best[-1]
    return f"best measured {best:.3f}{limit} ({cost}{record.candidate.name}, epoch {course.section.epoch})"


def _left(run: Run, trained: int) -> int:
    strategy = run.summary.settings["strategy"]
    first = strategy.get("first_batch") or max(strategy["batch"], 2)
    return max(first + (strategy["rounds"] - 1) * strategy["batch"] - trained, 0)


def _time_left(course: Course, left: int, running: int) -> str:
    """From the seconds of an epoch so far, the epochs that are left, and how many trainings run at once."""
    seconds = [c.record.seconds_per_epoch for c in course.section.with_status("finished")]
    if not left:
        return "the answer is next"
    if not seconds or not running:
        return "time left unknown" if running else "no process trains: the command that started it goes on"
    return f"about {duration(median(seconds) * course.section.epoch * left / running)} left"
