"""Settings of measured latency: which table prices it, and how one is made."""

from typing import Literal

from pydantic import PositiveInt

from nars.settings.base import NonNegativeInt, PathText, Seed, Settings
from nars.settings.spaces import SeveralArchitectures


class LatencySettings(Settings):
    """Latency of a device as a cost: `table` is a folder that `measure_latency.py` made, null = it is not priced.

    `missing`: blocks that the table does not hold are an error, or are predicted from those that it holds.
    """

    table: PathText | None = None
    missing: Literal["error", "predict"] = "error"


class MeasureSettings(Settings):
    """`measure_latency.py`: the blocks of a space, or of one `candidate`, measured into the folder `table`.

    `backend`: PyTorch or ONNX Runtime here; a `command` that is given an ONNX file and prints milliseconds; or a CSV
    file of whole `networks` with what they take, to which the table is fitted. Entries are the least of `passes`
    measurements (a command's: of one), of all blocks or of so many `entries`. `check_networks` whole networks say how
    far sums of blocks are to be trusted, and how they are scaled. Milliseconds are those of a `batch` on `threads`.
    """

    search_space: SeveralArchitectures
    candidate: PathText | None = None
    table: PathText
    backend: Literal["onnxruntime", "torch", "command", "networks"] = "onnxruntime"
    command: str | None = None
    networks: PathText | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    threads: PositiveInt = 1
    batch: PositiveInt = 1
    passes: PositiveInt = 6
    entries: Literal["all"] | PositiveInt = "all"
    check_networks: NonNegativeInt = 20
    num_classes: PositiveInt = 1000
    seed: Seed = 0
