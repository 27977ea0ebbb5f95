"""LoRAs that an edit asks for, by the names that the models file gives them."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from p2p.part import Part
from p2p.spec.complaints import Complaint, counted

#: LoRAs are trained for 1. Twice that is beyond what any is used with; negative ones turn its change around.
MOST_LORA_WEIGHT = 2.0
#: Each is loaded before the run and computed with at every layer it changes.
MOST_LORAS = 4


class LoraUse(Part):
    """A LoRA, and how strongly it changes the model: both the source and the targets are drawn with it."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = Field(
        description="One of the model's `loras` (GET /v1/models)."
    )
    weight: Annotated[float, Field(ge=-MOST_LORA_WEIGHT, le=MOST_LORA_WEIGHT, allow_inf_nan=False)] = Field(
        1.0, description="1 as it was trained, 0 for nothing; below 0 the other way."
    )


LoraUses = Annotated[tuple[LoraUse, ...], *counted(0, MOST_LORAS)]


def repeated(uses: tuple[LoraUse, ...]) -> Iterator[Complaint]:
    """The LoRAs that stand twice."""
    for index, use in enumerate(uses):
        if use.id in [other.id for other in uses[:index]]:
            yield ("loras", index, "id"), "lora_repeated", f"{use.id} is there already: take it out, or add the weights"
