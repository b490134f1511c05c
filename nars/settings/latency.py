"""Settings of measured latency: which table prices it, and how one is made."""

from typing import Literal

from nars.settings.base import PathText, Settings


class LatencySettings(Settings):
    """Latency of a device as a cost: `table` is a folder that `measure_latency.py` made, null = it is not priced.

    `missing`: blocks that the table does not hold are an error, or are predicted from those that it holds.
    """

    table: PathText | None = None
    missing: Literal["error", "predict"] = "error"
