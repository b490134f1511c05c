"""A saved W&B workspace for comparing recipes: `python -m nars.reporting.wandb_dashboard entity/project`.

Needs requirements-wandb.txt and a login. The workspace shows the runs of trainings only.
"""

import argparse

from nars.costs.table import COSTS, DEFAULT_AXIS, LIMITED
from nars.errors import UserError
from nars.settings import Recipe
from nars.streams import complain, run_and_exit

NAME = "Architectures and recipes"
LOG_SCALED = {"weight_decay"}


def workspace(entity: str, project: str, *, study: str | None = None, stages: int = 7):
    """The workspace of a project's trainings, of one study or of all; not yet saved.

    `stages` is how many stages the search space has. UserError if wandb-workspaces is not installed.
    """
    try:
        import wandb_workspaces.workspaces as ws
    except ImportError as error:
        raise UserError(f"{error.name} is not installed: pip install -r requirements-wandb.txt") from None

    filters = [ws.Metric("JobType") == "candidate"]
    if study is not None:
        filters.append(ws.Metric("Group") == study)
    recipe = [f"recipe/{key}" for key in Recipe.model_fields]
    shape = ["arch/resolution", *(f"arch/stage{i}/{key}" for key in ("depth", "width") for i in range(1, stages + 1))]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=NAME if study is None else f"{NAME}: {study}",
        sections=[
            ws.Section("Recipes", panels=_recipes(recipe), is_open=True),
            ws.Section("Accuracy and cost", panels=_costs(), is_open=True),
            ws.Section("Architectures", panels=[_parallel("Architecture to accuracy", shape)]),
            ws.Section("Curves", panels=_curves()),
        ],
        runset_settings=ws.RunsetSettings(
            filters=filters,
            order=[ws.Ordering(ws.Summary("accuracy"), ascending=False)],
            pinned_columns=["summary:accuracy", "summary:predicted_accuracy", f"summary:{DEFAULT_AXIS}"]
            + [f"config:{key}" for key in recipe],
        ),
    )


def _recipes(keys: list[str]) -> list:
    import wandb_workspaces.reports.v2 as wr

    scatters = [
        wr.ScatterPlot(
            title=f"accuracy by {key.removeprefix('recipe/')}",
            x=wr.Config(key),
            y=wr.SummaryMetric("accuracy"),
            log_x=key.removeprefix("recipe/") in LOG_SCALED,
        )
        for key in keys
    ]
    return [
        _parallel("Recipe to accuracy", keys),
        wr.ParameterImportancePlot(with_respect_to="accuracy"),
        wr.RunComparer(diff_only="split"),
        *scatters,
    ]


def _parallel(title: str, keys: list[str]):
    import wandb_workspaces.reports.v2 as wr

    columns = [
        wr.ParallelCoordinatesPlotColumn(
            metric=wr.Config(key), display_name=key.partition("/")[2], log=key.rpartition("/")[2] in LOG_SCALED
        )
        for key in keys
    ]
    columns.append(wr.ParallelCoordinatesPlotColumn(metric=wr.SummaryMetric("accuracy"), display_name="accuracy"))
    return wr.ParallelCoordinatesPlot(title=title, columns=columns)


def _costs() -> list:
    import wandb_workspaces.reports.v2 as wr

    accuracy = wr.SummaryMetric("accuracy")
    return [
        *(
            wr.ScatterPlot(title=f"accuracy by {COSTS[name].label}", x=wr.SummaryMetric(name), y=accuracy)
            for name in LIMITED
        ),
        wr.ScatterPlot(
            title="predicted and measured", x=wr.SummaryMetric("predicted_accuracy"), y=accuracy, regression=True
        ),
    ]


def _curves() -> list:
    import wandb_workspaces.reports.v2 as wr

    return [wr.LinePlot(title=key, x="epoch", y=[key], max_runs_to_show=100) for key in ("accuracy", "loss")]


def main(arguments: list[str] | None = None) -> int:
    """Save the workspace that the command line asks for; 2 if that fails."""
    parser = argparse.ArgumentParser(
        prog="python -m nars.reporting.wandb_dashboard",
        description="Save a W&B workspace for comparing recipes and architectures of a project's trainings.",
    )
    parser.add_argument("project", metavar="ENTITY/PROJECT", help="where logger.wandb.entity and .project put runs")
    parser.add_argument("--study", help="only the trainings of this study (default: of all)")
    parser.add_argument("--stages", type=int, default=7, help="stages of the search space (default: 7, of fbnetv3)")
    values = parser.parse_args(arguments)
    try:
        entity, separator, project = values.project.partition("/")
        if not (entity and separator and project) or "/" in project:
            raise UserError(f"'{values.project}' is not ENTITY/PROJECT, such as my-team/nars")
        made = workspace(entity, project, study=values.study, stages=values.stages)
        _save(made)
    except UserError as error:
        complain(f"error: {error}")
        return 2
    print(f"saved: {made.url}")
    return 0


def _save(made) -> None:
    """UserError if W&B does not take it."""
    import wandb

    wandb.setup(wandb.Settings(silent=True))
    try:
        made.save()
    except Exception as error:  # of the network, of the server, of permissions: W&B raises many kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(
            f"W&B did not save the workspace ({reason}); is this machine logged in (wandb login)?"
        ) from None


if __name__ == "__main__":
    run_and_exit(main)
