"""How the pictures of a spec are made."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, model_validator
from pydantic_core import PydanticKnownError

from p2p.part import Part
from p2p.spec.complaints import RECORDED, counted, invalid
from p2p.spec.names import MAX_PROMPT_CHARACTERS

#: torch's generator on the CPU, which draws the noise, takes the lower 32 bits of a seed (a Mersenne twister's): 2**32
#: would be seed 0 again.
MAX_SEED = 2**32 - 1
#: In place of a seed: one is to be drawn (`p2p.seeds`).
DRAW = -1

#: By the names of diffusers' classes: DDIMScheduler, DDPMScheduler, ...
SchedulerName = Literal[
    "ddim", "ddpm", "dpm_solver_multistep", "euler", "euler_ancestral", "heun", "lcm", "pndm", "unipc"
]  # fmt: skip


#: In which order a model of tokens settles those of a target.
TokenOrder = Literal["own", "source", "held"]


def _within_generator(seed: int, info: ValidationInfo) -> int:
    # Recorded edits may have larger ones, of which the lower 32 bits made their pictures.
    if seed > MAX_SEED and info.context != RECORDED:
        raise PydanticKnownError("less_than_equal", {"le": MAX_SEED})
    return seed


Seed = Annotated[int, Field(ge=DRAW, json_schema_extra={"maximum": MAX_SEED}), AfterValidator(_within_generator)]


class Sampling(Part):
    """How the pictures are made; what is absent takes the model's own default (`GET /v1/models`)."""

    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    scheduler: SchedulerName | None = Field(
        None,
        description="The model's own where absent, and for a picture that is given ddim, whatever the model's own is; "
        "the manifest names it.",
    )
    guidance_scale: Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)] | None = None
    # The service draws where an edit is accepted. The library draws nothing by itself: what it is called with decides
    # what it makes, and a kept source is found again.
    seed: Seed | None = Field(
        None,
        description="Which noise everything is made from: the same seed gives the same pictures. Where absent or -1, "
        "one below 4294967296 is drawn when the edit is accepted, and every answer says which.",
    )
    seeds: Annotated[tuple[Seed, ...], *counted(1, 64)] | None = Field(
        None,
        description="Several in place of `seed`: everything is made once for each. Each -1 among them is drawn. "
        "Targets times seeds are at most the model's `max_targets`, and without targets the seeds are.",
    )
    order: TokenOrder | None = Field(
        None,
        description='For models that draw tokens: "own" settles each picture\'s tokens in the order of its own '
        'confidence, and is what runs where this is absent. "source" settles those of a target where its source '
        'settles them. "held" also takes the source\'s token for twenty times as likely there, so that more stays as '
        "it is. Models of latents have no such order, and refuse it.",
    )
    negative_prompt: Annotated[str, StringConstraints(max_length=MAX_PROMPT_CHARACTERS)] = ""
    height: Annotated[int, Field(ge=8, le=8192)] | None = None
    width: Annotated[int, Field(ge=8, le=8192)] | None = None
    alone: bool = Field(
        False,
        description="Whether it runs by itself: its pictures are then bit for bit the same whatever else the service "
        "does. Otherwise other edits may share its steps, and a picture may differ by rounding. It may take longer.",
    )

    @model_validator(mode="after")
    def _seeded_once(self) -> Self:
        if self.seeds is None:
            return self
        if self.seed:
            raise invalid([(("seed",), "seeds_conflict", "`seed` and `seeds` are both given: keep one of them")])
        for index, seed in enumerate(self.seeds):
            if seed != DRAW and seed in self.seeds[:index]:
                raise invalid([(("seeds", index), "seed_repeated", f"{seed} is there already: take it out")])
        return self
