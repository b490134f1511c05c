"""What is written down of the search inside a supernet."""

from nars.settings import DifferentiableSettings
from nars.spaces.architecture import ArchitectureSpace
from nars.supernet.loop import Course


def supernet_section(
    course: Course, settings: DifferentiableSettings, space: ArchitectureSpace, *, images: str
) -> dict:
    """`nars.study.summary.SupernetSummary` as containers."""
    names = [dimension.name for dimension in space.dimensions]
    measured = [
        {key: list(value.values()) if key in ("expected", "argmax") else value for key, value in vars(epoch).items()}
        for epoch in course.epochs
    ]
    measured = [{key: value for key, value in epoch.items() if key != "probabilities"} for epoch in measured]
    return {
        "images": images,
        "asked_epochs": settings.epochs,
        "seconds": round(course.seconds, 1),
        "cost_names": list(course.epochs[-1].expected),
        "choices": {dimension.name: list(dimension.choices) for dimension in space.dimensions},
        "epochs": measured,
        "probabilities": {name: [list(epoch.probabilities[name]) for epoch in course.epochs] for name in names},
    }
