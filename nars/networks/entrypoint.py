"""Found networks under one name in timm: after `import nars.networks.entrypoint`, timm.create_model makes them.

So it does from folders and repositories that export.py wrote: `timm.create_model("local-dir:...", pretrained=True)`.
"""

from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from nars.networks.architectures import network_of
from nars.settings import Recipe
from nars.spaces.architecture import Architecture

default_cfgs = generate_default_cfgs(
    {
        "nars_network": {
            "num_classes": 1000,
            "input_size": (3, 224, 224),
            "mean": IMAGENET_DEFAULT_MEAN,
            "std": IMAGENET_DEFAULT_STD,
            "first_conv": "conv_stem",
            "classifier": "classifier",
        }
    }
)


@register_model
def nars_network(pretrained: bool = False, **given) -> nn.Module:
    """The network of an `architecture` in plain containers, for `num_classes`; `drop_rate` is its dropout,
    `drop_path_rate` its stochastic depth."""
    return build_model_with_cfg(
        _network, "nars_network", pretrained, kwargs_filter=("global_pool", "img_size"), **given
    )


def _network(
    architecture: dict,
    num_classes: int = 1000,
    in_chans: int = 3,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
) -> nn.Module:
    if in_chans != 3:
        raise ValueError(f"nars_network takes images of 3 channels, given in_chans={in_chans}")
    drops = Recipe(lr=1.0, optimizer="sgd", dropout=drop_rate, stochastic_depth=drop_path_rate)  # no more is used of it
    return network_of(Architecture.from_dict(architecture), num_classes=num_classes, recipe=drops)
