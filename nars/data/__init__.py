"""Images: opened by their settings, split by seed, served as batches."""

from nars.data.loaders import ImageData
from nars.data.opening import open_data

__all__ = ["ImageData", "open_data"]
