"""torch.export: a program of plain PyTorch operators, which needs neither timm nor this project."""

import io
import json
import zipfile
from pathlib import Path

import torch
from torch.export import Dim, ExportedProgram

from nars.errors import UserError
from nars.exporting.description import PROPERTY, Deployed, Description, InBatches
from nars.files import write_whole
from nars.settings import parse

MEMBER = f"{PROPERTY}.json"


def program_of(network: Deployed, description: Description) -> ExportedProgram:
    """The network as one graph, for any number of images unless the description fixes it."""
    shapes = {"images": {0: Dim("batch")} if description.batch is None else None}
    with torch.no_grad():
        return torch.export.export(network, (description.example,), dynamic_shapes=shapes)


def write_torch_export(path: Path, program: ExportedProgram, description: Description) -> None:
    """Write the file (.pt2)."""
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={MEMBER: description.model_dump_json()})
    write_whole(path, content.getvalue())


def open_torch_export(path: Path) -> tuple[InBatches, Description]:
    """The network of a file that `write_torch_export` wrote; UserError if it is none."""
    members = {MEMBER: ""}
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path}: no torch.export file of export.py (it is no archive)")
    try:
        program = torch.export.load(path, extra_files=members)
        values = json.loads(members[MEMBER])
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"{path}: no torch.export file of export.py ({reason})") from None
    description = parse(Description, values, where=f"{path}: {PROPERTY}")
    module = program.module()
    return InBatches(lambda images: module(images), description.batch), description  # it has one mode, and says so
