"""From the settings of the group `data` to images."""

import os

from nars.data.digits import Digits
from nars.data.folder import open_folder
from nars.data.imagenet200 import open_imagenet_subset
from nars.data.loaders import ImageData
from nars.data.prepared import open_prepared
from nars.settings import DataSettings


def open_data(settings: DataSettings, *, split_file: str | os.PathLike | None = None) -> ImageData:
    """The images that `settings` name; UserError for all that can be wrong with them.

    `split_file` is where `imagenet200` keeps its split if the settings name no file; without either, none is kept.
    """
    if settings.name == "imagenet200":
        return open_imagenet_subset(settings, split_file=settings.split_file or split_file)
    return {"digits": Digits, "folder": open_folder, "prepared": open_prepared}[settings.name](settings)
