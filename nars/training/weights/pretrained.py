"""Weights that timm's authors have trained, brought over the network once and kept as files."""

import logging
from pathlib import Path

import httpx
import timm
from huggingface_hub import constants, is_offline_mode
from timm.models import get_arch_pretrained_cfgs
from torch import nn

from nars.errors import UserError
from nars.networks.timm_models import check_known
from nars.training.weights.files import write_weights

TIMM = "timm:"
SECONDS_TO_ANSWER = 10.0


def pretrained_file(name: str, folder: Path) -> Path:
    """The file in `folder` of the weights that timm calls `name`, a model or one of its tags; UserError if it has none,
    or they are not there yet and cannot be brought."""
    where = f"start.weights={TIMM}{name}"
    check_known(name, where=where)
    known, model = timm.get_pretrained_cfg(name), name.partition(".")[0]
    if known is None or not known.has_weights:
        tags = [tag for tag, cfg in get_arch_pretrained_cfgs(model).items() if cfg.has_weights]
        raise UserError(f"{where}: timm has no trained weights of it" + f"; of {model}: {', '.join(tags)}" * bool(tags))
    path = folder / f"{model}.{known.tag or 'default'}.safetensors"
    if not path.is_file():
        try:
            network = _brought(name)
        except (OSError, RuntimeError, ValueError, httpx.HTTPError) as error:
            reason = str(error).strip().partition("\n")[0].partition(". ")[0] or type(error).__name__
            raise UserError(
                f"{where}: not to be had over the network ({reason}); give a file, start.weights=/weights.safetensors, "
                "or HF_HUB_OFFLINE=1 if the hub's cache on this machine holds it"
            ) from None
        write_weights(path, network)
    return path


def _brought(name: str) -> nn.Module:
    """timm's network with its weights; without a network at once an error, where the hub's library tries for a minute
    and says so line by line."""
    if not is_offline_mode():
        httpx.head(constants.ENDPOINT, timeout=SECONDS_TO_ANSWER, follow_redirects=True)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    return timm.create_model(name, pretrained=True)
