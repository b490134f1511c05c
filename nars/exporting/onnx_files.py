"""ONNX: one file with graph, weights and description."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch.export import ExportedProgram

from nars.errors import UserError
from nars.exporting.description import PROPERTY, Description, InBatches
from nars.files import write_whole
from nars.settings import Settings, parse

INPUT, OUTPUT, BATCH = "images", "logits", "batch"  # names in the graph
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def check_onnx(what: str, packages: tuple[str, ...] = PACKAGES) -> None:
    """UserError if a library is missing that `what` needs."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise UserError(f"{what} needs {', '.join(missing)}: pip install -r requirements-export.txt")


def model_of(program: ExportedProgram, *, any_batch: bool, outputs: Sequence[str] = (OUTPUT,)):
    """The program as an ONNX model, batch norms folded into convolutions. It takes a large network a dozen seconds."""
    with quiet():
        exported = torch.onnx.export(
            program,
            (),
            dynamo=True,
            external_data=False,
            input_names=[INPUT],
            output_names=list(outputs),
            verbose=False,
        )
    model = exported.model_proto
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]  # where in the sources of this machine each came from
    if any_batch:
        _name_batch(graph)
    return model


def _name_batch(graph) -> None:
    """Call the free dimension what it is."""
    [name] = {value.type.tensor_type.shape.dim[0].dim_param for value in graph.input}
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == name:
                dim.dim_param = BATCH


def write_onnx(path: Path, model, description: Settings) -> None:
    """Write an ONNX model with its description."""
    del model.metadata_props[:]
    model.metadata_props.add(key=PROPERTY, value=description.model_dump_json())
    write_whole(path, model.SerializeToString())


def open_onnx(path: Path) -> tuple[InBatches, Description]:
    """The network of a file that export.py wrote, run by onnxruntime on one thread; UserError if it is none."""
    session, values = open_session(path)
    if "detector" in values:
        raise UserError(f"weights={path}: of a detector, not of a classifier; detect.py mode=evaluate takes it")
    description = parse(Description, values, where=f"{path}: {PROPERTY}")

    def run(images: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(session.run([OUTPUT], {INPUT: images.cpu().numpy()})[0])

    return InBatches(run, description.batch), description


def open_session(path: Path) -> tuple:
    """onnxruntime's session of a file that export.py wrote, on one thread, and its description in plain containers;
    UserError if it is none."""
    check_onnx(str(path), ("onnxruntime",))
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as refused

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (refused.Fail, refused.InvalidArgument, refused.InvalidGraph, refused.InvalidProtobuf) as error:
        raise UserError(f"{path}: onnxruntime cannot read it: {str(error).partition(chr(10))[0]}") from None
    known = session.get_modelmeta().custom_metadata_map.get(PROPERTY)
    if known is None:
        raise UserError(f"{path}: an ONNX file, but none of export.py: it does not say what its inputs and outputs are")
    return session, json.loads(known)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what the exporter says of its own progress and of libraries to come."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
