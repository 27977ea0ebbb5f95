"""LPIPS 0.1 over SqueezeNet 1.1 (Zhang et al. 2018), from the two published files and without torchvision.

Layers and the names of their weights are those of the published files: torchvision's `squeezenet1_1-b8a52dc0.pth`
("features.0.weight", "features.3.squeeze.weight", ...) and `squeeze.pth` of the `lpips` package
("lin0.model.1.weight", ...), as they are or as safetensors.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

#: Of the input in -1..1, per channel: ImageNet's mean and deviation, on that scale.
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
#: The layers after which features are compared, and their channels.
TAPS = {1: 64, 4: 128, 7: 256, 9: 384, 10: 384, 11: 512, 12: 512}
EPSILON = 1e-10


class Fire(nn.Module):
    """SqueezeNet's layer: fewer channels, then more of them by 1x1 and by 3x3, side by side."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], 1).relu()


def squeezenet_features() -> nn.Sequential:
    """The convolutional part of SqueezeNet 1.1."""

    def pool() -> nn.MaxPool2d:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    return nn.Sequential(
        nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), pool(),
        Fire(64, 16, 64), Fire(128, 16, 64), pool(),
        Fire(128, 32, 128), Fire(256, 32, 128), pool(),
        Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256),
    )  # fmt: skip


class Lpips(nn.Module):
    """The distance of pictures, (1, 3, height, width) in -1..1: 0 for equal ones."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = squeezenet_features()
        self.lins = nn.ParameterList(nn.Parameter(torch.zeros(1, channels, 1, 1)) for channels in TAPS.values())
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None])
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None])

    @classmethod
    def load(cls, squeezenet: Path, lins: Path, device: torch.device | str = "cpu") -> "Lpips":
        """The published network; raises `ValueError` where a file is of something else."""
        made = cls()
        features = {name: weight for name, weight in _weights(squeezenet).items() if name.startswith("features.")}
        found = _weights(lins)
        try:
            made.features.load_state_dict({name.removeprefix("features."): w for name, w in features.items()})
            for number, weights in enumerate(made.lins):
                weights.data.copy_(found[f"lin{number}.model.1.weight"])
        except (RuntimeError, KeyError) as error:
            raise ValueError(f"{squeezenet} and {lins} are not SqueezeNet 1.1's and its LPIPS's: {error}") from error
        return made.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        distance = one.new_zeros(())
        x, y = ((picture - self.shift) / self.scale for picture in (one, other))
        lins = dict(zip(TAPS, self.lins, strict=True))
        for place, layer in enumerate(self.features):
            x, y = layer(x), layer(y)
            if place in lins:
                difference = (_unit(x) - _unit(y)) ** 2
                distance = distance + (difference * lins[place]).sum(1).mean()
        return distance


def _unit(features: Tensor) -> Tensor:
    return features / (features.pow(2).sum(1, keepdim=True).sqrt() + EPSILON)


def _weights(path: Path) -> Mapping[str, Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)  # weights only: a pickle can hold any program
