"""Who measures: PyTorch, ONNX Runtime, or a command of the user's that runs a model file on another device."""

import io
import re
import shlex
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from nars.errors import UserError
from nars.latency.table import Device
from nars.machine import processor
from nars.settings import MeasureSettings

PAUSE_SECONDS = 0.05  # between measurements on a GPU, which would throttle its clock otherwise
OPSET = 17
INPUT = "x"

Run = Callable[[], float]  # runs a network or a block once: seconds by the backend's clock


class Backend(Protocol):
    """Runs networks and blocks on a device.

    `quick`: one run takes microseconds, so that several are timed together; else each measurement is one call.
    """

    device: Device
    quick: bool

    def prepare(self, module: nn.Module, example: torch.Tensor) -> Run:
        """What runs a module in evaluation mode on this input."""


@contextmanager
def open_backend(settings: MeasureSettings) -> Iterator[Backend]:
    """The backend that the settings name; UserError if this machine cannot."""
    for library in _LIBRARIES.get(settings.backend, ()):
        if find_spec(library) is None:
            raise UserError(
                f"backend={settings.backend}: {library} is not installed; pip install -r requirements-export.txt, or "
                "give backend=torch"
            )
    if settings.device == "cuda" and settings.backend != "command" and not torch.cuda.is_available():
        raise UserError("device=cuda: PyTorch finds no GPU here; measure on a machine that has one, or device=cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        with torch.inference_mode():
            yield _BACKENDS[settings.backend](settings)
    finally:
        torch.set_num_threads(threads)


def _device(settings: MeasureSettings, *, version: str, clock: str) -> Device:
    name = torch.cuda.get_device_name() if settings.device == "cuda" and clock != "given" else processor()
    return Device(
        processor=name,
        device=settings.device,
        backend=settings.backend,
        version=version,
        threads=settings.threads,
        batch=settings.batch,
        clock=clock,
    )


def _clock(settings: MeasureSettings) -> str:
    """A core's time is what others cannot lengthen; it holds one thread only."""
    return "cpu" if settings.device == "cpu" and settings.threads == 1 else "wall"


def _timer(clock: str) -> Callable[[], float]:
    return time.thread_time if clock == "cpu" else time.perf_counter


class TorchBackend:
    """PyTorch, without a compiler."""

    quick = True

    def __init__(self, settings: MeasureSettings):
        clock = _clock(settings)
        self.device = _device(settings, version=torch.__version__.partition("+")[0], clock=clock)
        self.timer, self._cuda = _timer(clock), settings.device == "cuda"

    def prepare(self, module: nn.Module, example: torch.Tensor) -> Run:
        """See `Backend`."""
        if self._cuda:
            return partial(_seconds_on_gpu, module.cuda(), example.cuda())
        return partial(_seconds, lambda: module(example), self.timer)


def _seconds(run: Callable[[], object], timer: Callable[[], float]) -> float:
    start = timer()
    run()
    return timer() - start


def _seconds_on_gpu(module: nn.Module, example: torch.Tensor) -> float:
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    module(example)
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1e3


class OnnxRuntimeBackend:
    """ONNX Runtime with all its optimisations; inputs and outputs stay where they are."""

    quick = True

    def __init__(self, settings: MeasureSettings):
        import onnxruntime

        provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[settings.device]
        if provider not in onnxruntime.get_available_providers():
            raise UserError(
                "device=cuda: this ONNX Runtime has no CUDA; pip install onnxruntime-gpu, or give backend=torch"
            )
        clock = _clock(settings)
        self.device = _device(settings, version=onnxruntime.__version__, clock=clock)
        self.timer, self._provider, self._onnxruntime = _timer(clock), provider, onnxruntime
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = settings.threads
        self._options.inter_op_num_threads = 1
        self._options.log_severity_level = 3

    def prepare(self, module: nn.Module, example: torch.Tensor) -> Run:
        """See `Backend`."""
        session = self._onnxruntime.InferenceSession(
            onnx_model(module, example), self._options, providers=[self._provider]
        )
        kind = self._provider.removesuffix("ExecutionProvider").lower()
        value = self._onnxruntime.OrtValue.ortvalue_from_numpy(example.numpy(), kind, 0)
        binding = session.io_binding()
        binding.bind_ortvalue_input(INPUT, value)
        binding.bind_output(session.get_outputs()[0].name, kind)
        run = partial(session.run_with_iobinding, binding)
        if kind == "cuda":
            run = partial(_synchronised, run, binding)
        return partial(_seconds, run, self.timer)


def _synchronised(run: Callable[[], object], binding) -> None:
    run()
    binding.synchronize_outputs()


def onnx_model(module: nn.Module, example: torch.Tensor) -> bytes:
    """The module as an ONNX model. By PyTorch's older exporter: the newer one takes a second for a block."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (example,), buffer, dynamo=False, opset_version=OPSET, input_names=[INPUT])
    return buffer.getvalue()


class CommandBackend:
    """A command of the user's that is given an ONNX file and prints milliseconds: the last number that it prints."""

    quick = False

    def __init__(self, settings: MeasureSettings):
        if settings.command is None:
            raise UserError(
                "backend=command: give the command, which is handed a model file and prints milliseconds: "
                "command='./on_my_phone.sh'"
            )
        self.device = _device(settings, version="", clock="given").model_copy(
            update={"processor": f"that of {settings.command}"}
        )
        self._command = settings.command
        self._folder = tempfile.TemporaryDirectory(prefix="nars_latency_")
        self._models = 0

    def prepare(self, module: nn.Module, example: torch.Tensor) -> Run:
        """See `Backend`."""
        self._models += 1
        file = Path(self._folder.name) / f"model_{self._models}.onnx"
        file.write_bytes(onnx_model(module, example))
        return partial(self._seconds, file)

    def _seconds(self, file: Path) -> float:
        line = f"{self._command} {shlex.quote(str(file))}"
        done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
        numbers = re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", done.stdout)
        if done.returncode or not numbers or float(numbers[-1]) <= 0:
            said = " ".join((done.stderr or done.stdout).split())[-200:] or "nothing"
            raise UserError(
                f"command={self._command}: ended with {done.returncode} and no milliseconds for {file.name}; "
                f"it said: {said}"
            )
        return float(numbers[-1]) / 1e3


_LIBRARIES = {"onnxruntime": ("onnx", "onnxruntime"), "command": ("onnx",)}
_BACKENDS = {"onnxruntime": OnnxRuntimeBackend, "torch": TorchBackend, "command": CommandBackend}
