"""From the settings of the group `data` to images."""

import os

from nars.data.loaders import ImageData
from nars.settings import DataSettings


def open_data(settings: DataSettings, *, split_file: str | os.PathLike | None = None) -> ImageData:
    """The images that `settings` name; UserError for all that can be wrong with them.

    `split_file` is where `imagenet200` keeps its split if the settings name no file; without either, none is kept.
    """
    # Imported where they are used: torchvision and timm, which the digits do without, take seconds.
    match settings.name:
        case "digits":
            from nars.data.digits import Digits

            return Digits(settings)
        case "folder":
            from nars.data.folder import open_folder

            return open_folder(settings)
        case "imagenet200":
            from nars.data.imagenet200 import open_imagenet_subset

            return open_imagenet_subset(settings, split_file=settings.split_file or split_file)
        case "prepared":
            from nars.data.prepared import open_prepared

            return open_prepared(settings)
