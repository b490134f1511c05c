"""Who may import whom: the map of CONTRIBUTING.md, room by room, and no circles between files."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOW = {"costs/table", "errors", "files", "options", "settings"}
ONE_TRAINING = LOW | {"spaces", "costs", "networks", "candidates", "data", "records", "wandb_run"}
FACTS = LOW | {"shell", "spaces", "costs", "records", "search", "study"}
ALLOWED = {
    "costs/table": set(),
    "errors": set(),
    "files": {"errors"},
    "options": {"errors", "files"},
    "leases": {"errors"},
    "json_lines": {"files", "leases"},
    "machine": set(),
    "seeds": set(),
    "shell": set(),
    "streams": set(),
    "console": {"streams"},
    "settings": {"costs/table", "errors"},
    "spaces": LOW,
    "costs": LOW | {"spaces"},
    "networks": LOW | {"spaces", "costs"},
    "candidates": LOW | {"spaces", "networks"},
    "data": LOW,
    "records": LOW | {"spaces", "json_lines"},
    "wandb_run": LOW,
    "predictor": LOW,
    "search": LOW | {"spaces", "costs", "records"},
    "training": ONE_TRAINING | {"machine", "leases", "training/single"},
    "training/single": ONE_TRAINING | {"machine", "training", "training/weights"},
    "training/weights": ONE_TRAINING | {"training"},
    "latency": LOW | {"spaces", "costs", "networks", "candidates", "json_lines", "machine", "shell"},
    "study": LOW | {"latency", "machine", "costs", "data", "json_lines", "leases", "records", "search", "shell"},
    "reporting": FACTS | {"streams", "wandb_run", "reporting/facts", "reporting/page", "reporting/screen"},
    "reporting/facts": FACTS,
    "reporting/page": FACTS | {"reporting/facts"},
    "reporting/screen": FACTS | {"console", "reporting/facts", "reporting/page", "reporting/tracking"},
    "reporting/tracking": FACTS | {"wandb_run"},
    "overrides": LOW | {"shell"},
    "advice": LOW,
    "configuration": LOW | {"advice", "candidates", "costs/table", "overrides", "streams", "study"},
    "sweep": LOW | {"configuration", "console", "shell", "streams", "study", "reporting/screen"},
}
ALLOWED["supernet"] = LOW | {"spaces", "costs", "networks", "data"}
ALLOWED["problem"] = LOW | {"candidates", "spaces", "costs", "data", "latency", "search", "shell", "study"}
ALLOWED["methods"] = ONE_TRAINING | {"leases", "problem", "study", "search", "predictor", "seeds", "training"}
ALLOWED["methods"] |= {"training/single", "training/weights", "supernet"}
WITH_HYDRA = {"advice", "overrides", "configuration", "sweep"}
ALLOWED["exporting"] = LOW | {"data", "networks", "training/weights"}
ALLOWED["api"] = FACTS | {"candidates", "networks", "predictor", "problem", "reporting/facts", "training/weights"}
ALLOWED["commands"] = set(ALLOWED) - WITH_HYDRA - {"api"}


def imported(node: ast.AST, *, for_types: bool = False) -> set[str]:
    """Full names of the modules imported under a node; those for type checkers alone only if asked for."""
    types = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    if types and not for_types:
        return set()
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {f"{node.module}.{alias.name}" for alias in node.names}
    return set().union(*(imported(child, for_types=for_types) for child in ast.iter_child_nodes(node)))


def room_of(file: str) -> str:
    """The part of the map that a file of nars/ belongs to, `training/single` before `training`."""
    path = file.removesuffix(".py")
    return max((part for part in ALLOWED if path == part or path.startswith(f"{part}/")), key=len, default="")


FILES = {str(path.relative_to(ROOT / "nars")): path for path in sorted((ROOT / "nars").rglob("*.py"))}
MODULES = {file.removesuffix(".py").removesuffix("/__init__").replace("/", "."): file for file in FILES}
IMPORTS = {file: imported(ast.parse(path.read_text())) for file, path in FILES.items()}
FOR_TYPES = {file: imported(ast.parse(path.read_text()), for_types=True) for file, path in FILES.items()}


def files_imported(file: str, imports: dict[str, set[str]] = IMPORTS) -> set[str]:
    """The files of nars/ that a file imports, inside functions too."""
    found = set()
    for name in imports[file]:
        parts = name.split(".")[1:] if name.startswith("nars.") else []
        if parts:
            module = next((m for m in (".".join(parts), ".".join(parts[:-1])) if m in MODULES), None)
            assert module is not None, f"{file} imports {name}"
            found.add(MODULES[module])
    return found - {file}


@pytest.mark.parametrize("file", [file for file in FILES if file != "__init__.py"])
def test_a_file_imports_only_what_lies_below_its_room(file):
    room = room_of(file)
    assert room, f"{file} has no place on the map"
    assert {room_of(other) for other in files_imported(file)} <= ALLOWED[room] | {room}
    assert room in WITH_HYDRA or "hydra" not in {name.split(".")[0] for name in IMPORTS[file]}


def test_lightning_is_imported_in_one_room():
    """Whose first line keeps it from the variables of launchers."""
    libraries = {"pytorch_lightning", "lightning_fabric", "lightning_utilities"}
    rooms = {room_of(file) for file in FILES if libraries & {name.split(".")[0] for name in IMPORTS[file]}}
    assert rooms == {"training/single"}


def test_no_files_import_each_other_in_a_circle():
    below: dict[str, set[str]] = {}
    left = {file: files_imported(file, FOR_TYPES) for file in FILES}
    while ready := [file for file, needs in left.items() if needs <= below.keys()]:
        for file in ready:
            below[file] = left.pop(file)
    assert not left, "\n".join(f"{file} -> {', '.join(sorted(needs & left.keys()))}" for file, needs in left.items())


def test_every_room_of_the_map_is_there():
    assert {room_of(file) for file in FILES} - {""} == set(ALLOWED)
