"""Who may import whom: the map of CONTRIBUTING.md, package by package."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOW = {"errors", "files", "settings"}
ALLOWED = {
    "errors": set(),
    "files": set(),
    "seeds": set(),
    "settings": {"errors"},
    "spaces": LOW,
    "costs": LOW | {"spaces"},
    "networks": LOW | {"spaces", "costs"},
    "candidates": LOW | {"spaces", "networks"},
    "data": LOW,
    "records": LOW | {"spaces"},
    "wandb_run": LOW,
    "outcomes": LOW,
    "predictor": LOW,
    "search": LOW | {"spaces", "costs", "records"},
    "training": LOW | {"spaces", "costs", "networks", "candidates", "data", "records", "wandb_run"},
    "reporting": LOW | {"spaces", "costs", "data", "records", "wandb_run", "outcomes", "search"},
    "configuration": LOW,
    "sweep": LOW | {"configuration", "outcomes", "reporting"},
}
WORK = {"pipeline", "dry_run", "pretraining", "final_training", "preparation"}  # put the packages together
BELOW_WORK = set(ALLOWED) - {"configuration", "sweep"} | WORK
WITH_HYDRA = {"configuration", "sweep"}


def imported(node: ast.AST) -> set[str]:
    """Full names of the modules imported under a node, those for type checkers alone left out."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return set()
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {f"{node.module}.{alias.name}" for alias in node.names}
    return set().union(*(imported(child) for child in ast.iter_child_nodes(node)))


@pytest.mark.parametrize("part", sorted([*ALLOWED, *WORK]))
def test_a_part_imports_only_what_lies_below_it(part):
    allowed = (BELOW_WORK if part in WORK else ALLOWED[part]) | {part}
    files = [*(ROOT / "nars").glob(f"{part}.py"), *(ROOT / "nars" / part).rglob("*.py")]
    assert files
    for file in files:
        names = [name.split(".") for name in imported(ast.parse(file.read_text()))]
        assert {name[1] for name in names if name[0] == "nars"} <= allowed, file
        assert part in WITH_HYDRA or "hydra" not in {name[0] for name in names}, file


def test_every_part_has_its_place():
    parts = {path.stem for path in (ROOT / "nars").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert parts - {"__init__", "__pycache__"} == {*ALLOWED, *WORK}
