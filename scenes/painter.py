"""The text encoder and the UNet, trained together on cached latents, by the error of `scenes.objective`."""

from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from tqdm import tqdm
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from scenes import checkpoint
from scenes.dataset import Examples, shard
from scenes.objective import BETAS, Objective

BATCH = 32
PEAK_LEARNING_RATE = 1.2e-3
WARM_UP = 150
#: The last part of the steps over which the learning rate falls to nothing.
COOL_DOWN = 0.3
#: Captions dropped, so that the empty prompt is learnt and guidance has something to push away from.
DROPPED = 0.1
#: A new shard of scenes every so many steps: each scene is seen about twice.
STEPS_PER_SHARD = 250
FIRST_SHARDS = 3
SAVE_EVERY = 100
LOOK_EVERY = 1000


def sampler() -> DDIMScheduler:
    """The scheduler the model is shipped with; "trailing" starts at the noisiest step, which v-prediction needs."""
    return DDIMScheduler(**BETAS, clip_sample=False, set_alpha_to_one=False, timestep_spacing="trailing")


def build(tokenizer: CLIPTokenizer) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """An untrained UNet (cross-attention at 16x16 and 8x8) and text encoder."""
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=8,
        out_channels=8,
        block_out_channels=(64, 128),
        layers_per_block=1,
        cross_attention_dim=96,
        attention_head_dim=4,
        norm_num_groups=16,
        down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
    )
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=96,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    return unet, text_encoder


def train(
    folder: Path, steps: int, device: torch.device, tokenizer: CLIPTokenizer, look: Callable[[int], None]
) -> None:
    """Trains up to `steps` steps of `BATCH` scenes, from the checkpoint in `folder` where there is one.

    Leaves the averaged weights in `folder/unet` and `folder/text_encoder`, and calls `look(step)` now and then,
    after they were written.
    """
    painting = _Painting(folder, device, tokenizer)
    examples, shards = None, 0
    progress = tqdm(range(painting.start, steps), initial=painting.start, total=steps, desc="painter", mininterval=10)
    for step in progress:
        wanted = FIRST_SHARDS + step // STEPS_PER_SHARD
        if examples is None or shards < wanted:
            new = [shard(folder, index, painting.vae, tokenizer) for index in range(shards, wanted)]
            examples, shards = Examples.together([*([examples] if examples else []), *new]), wanted
        rate = min(1, (step + 1 - painting.warm_from) / WARM_UP, (steps - step) / (COOL_DOWN * steps))
        terms = painting.learn(examples, step, PEAK_LEARNING_RATE * rate)
        if step % 50 == 0:
            progress.set_postfix({name: f"{term.item():.{digits}f}" for name, (term, digits) in terms.items()})
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            painting.save(step + 1)
            if (step + 1) % LOOK_EVERY == 0 or step + 1 == steps:
                look(step + 1)


class _Painting:
    """What is trained, from the checkpoint in a folder where there is one.

    Attributes:
        start: steps that the checkpoint has seen.
        warm_from: the step from which the learning rate rises.
    """

    def __init__(self, folder: Path, device: torch.device, tokenizer: CLIPTokenizer) -> None:
        self._folder, self._device = folder, device
        self.vae = AutoencoderKL.from_pretrained(folder / "vae").to(device).eval()
        self._unet, self._text_encoder = (module.to(device) for module in build(tokenizer))
        self._objective = Objective(self._unet, self._text_encoder, tokenizer, self.vae.config.scaling_factor)
        self._parameters = [*self._unet.parameters(), *self._text_encoder.parameters()]
        self._optimizer = torch.optim.AdamW(
            self._parameters, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-2, fused=True
        )
        self._ema = checkpoint.Ema(self._parameters, decay=0.998)
        self._path, self.start, self.warm_from = folder / "painter.pt", 0, 0
        if state := checkpoint.load(self._path):
            self._go_on(state)

    def _go_on(self, state: dict) -> None:
        self.start = state["step"]
        self._unet.load_state_dict(state["unet"])
        self._text_encoder.load_state_dict(state["text_encoder"])
        if state["optimizer"]:
            self._optimizer.load_state_dict(state["optimizer"])
        else:
            self.warm_from = self.start  # weights without an optimizer's state (`scenes.warm_start`)
        self._ema.averages = [a.to(self._device) for a in state["ema"]]

    def learn(self, examples: Examples, step: int, rate: float) -> dict[str, tuple[torch.Tensor, int]]:
        """One step; gives the terms of its loss by name, each with the decimals that are worth showing."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        generator = torch.Generator().manual_seed(step)
        chosen = torch.randint(0, len(examples), (BATCH,), generator=generator)
        dropped = torch.rand(BATCH, generator=generator) < DROPPED
        terms = self._objective(examples.chosen(chosen), dropped, generator)
        self._optimizer.zero_grad()
        terms.total.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._ema.update(step)
        return {"loss": (terms.error, 4), "outside": (terms.outside, 3), "missing": (terms.missing, 3)}

    def save(self, step: int) -> None:
        """Writes the checkpoint, and the averaged weights as a model."""
        self._objective.let_go()
        models = {"unet": self._unet.state_dict(), "text_encoder": self._text_encoder.state_dict()}
        state = {"step": step, **models, "optimizer": self._optimizer.state_dict(), "ema": self._ema.averages}
        checkpoint.save(self._path, state)
        self._ema.applied(self._export)

    def _export(self) -> None:
        self._unet.save_pretrained(self._folder / "unet")
        self._text_encoder.save_pretrained(self._folder / "text_encoder")
