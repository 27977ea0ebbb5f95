"""A trajectory as a file: safetensors, which no reader has to trust."""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from p2p.errors import WrongTrajectory
from p2p.families.encoded import Encoded
from p2p.trajectory import Inverted, Trajectory

#: Raised when a field changes its meaning: files of another format are generated anew.
FORMAT = "1"
_TENSORS = ("noise", "latents", "maps", "step_noise", "offset")
#: The name of the context of what guidance pushes away from; what lies beside it has this name, a dot and its own.
_AWAY = "unconditional"


def dumped(trajectory: Trajectory) -> bytes:
    """The file of a trajectory."""
    tensors = {name: getattr(trajectory, name) for name in _TENSORS if getattr(trajectory, name) is not None}
    if (away := trajectory.unconditional) is not None:
        tensors |= {_AWAY: away.context} | {f"{_AWAY}.{name}": tensor for name, tensor in away.beside.items()}
    metadata = {"format": FORMAT, "key": trajectory.key}
    if trajectory.inverted is not None:
        metadata["inverted"] = json.dumps(asdict(trajectory.inverted))
    return save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, metadata)


def loaded(data: bytes) -> Trajectory:
    """The trajectory of a file, on the CPU.

    Raises:
        WrongTrajectory: it is no such file, or of another format.
    """
    try:
        # The header's length, then the header (safetensors' format); its loader of bytes leaves the metadata out.
        (length,) = struct.unpack_from("<Q", data)
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
        if metadata["format"] != FORMAT:
            raise WrongTrajectory(f"the kept source is of format {metadata['format']}: generate it anew")
        tensors = load(data)
        away = _away({name: tensors.pop(name) for name in list(tensors) if name.split(".")[0] == _AWAY})
        inverted = _inverted(metadata.get("inverted"))
        return Trajectory(key=metadata["key"], inverted=inverted, unconditional=away, **tensors)
    except (SafetensorError, struct.error, ValueError, KeyError, TypeError) as error:
        raise WrongTrajectory("the kept source cannot be read: generate it anew") from error


def _away(tensors: Mapping[str, Tensor]) -> Encoded | None:
    if not tensors:
        return None
    beside = {name.removeprefix(f"{_AWAY}."): tensor for name, tensor in tensors.items() if name != _AWAY}
    return Encoded(tensors[_AWAY], beside)


def _inverted(said: str | None) -> Inverted | None:
    if said is None:
        return None
    fields = json.loads(said)
    return Inverted(**fields | {"sampling": tuple(fields["sampling"])})
