"""The text encoder and the UNet, trained together on cached latents.

Three choices make a small network learn in hours what can be edited: v-prediction paints the asked-for place and style
where epsilon-prediction paints nothing recognisable; each noun's cross-attention is asked to lie on the thing it names
(`scenes.attention_terms`), without which there is no local blend; and each word has to speak for itself
(`scenes.words_apart`), without which there is no fader.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, UNet2DConditionModel
from torch.nn import functional
from tqdm import tqdm
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from scenes import checkpoint
from scenes.attention_terms import CatchAttention, attention_missing, attention_outside
from scenes.dataset import Examples, shard
from scenes.words_apart import WordsApart

BATCH = 32
PEAK_LEARNING_RATE = 1.2e-3
WARM_UP = 150
#: The last part of the steps over which the learning rate falls to nothing.
COOL_DOWN = 0.3
#: Captions dropped, so that the empty prompt is learnt and guidance has something to push away from.
DROPPED = 0.1
ATTENTION_WEIGHT = 0.05
#: Above this timestep the picture is noise and a word cannot know its place.
ATTENTION_BELOW = 800
#: Cap of the signal-to-noise weight (min-SNR, Hang et al. 2023, arXiv 2303.09556).
MAX_SNR = 5
#: A new shard of scenes every so many steps: each scene is seen about twice.
STEPS_PER_SHARD = 250
FIRST_SHARDS = 3
SAVE_EVERY = 100
LOOK_EVERY = 1000

#: Deviation of the noise that a picture's parts share: some times what shows of the picture at its noisiest, .07 of it.
OFFSET = 0.15

#: Stable Diffusion's betas.
BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="v_prediction")


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


def offset_noise(shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Noise of unit deviation and, in addition, noise that is the same over the whole picture or a quarter of it.

    At its noisiest a picture still shows, and a network that looks for its mean colour finds it (Lin et al. 2023,
    arXiv 2305.08891): a picture's inversion then holds its old background, whatever the prompt asks for. Noise in
    the mean and in the coarsest differences hides it (Guttenberg 2023, "Diffusion with offset noise").
    """
    batch, channels, height, width = shape
    noise = torch.randn(shape, generator=generator)
    for cells in (1, 2):
        coarse = torch.randn(batch, channels, cells, cells, generator=generator)
        noise += OFFSET * functional.interpolate(coarse, size=(height, width), mode="nearest")
    return noise


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
        self._words_apart = WordsApart(self._text_encoder, tokenizer, device)
        self._caught: list[torch.Tensor] = []
        self._stock = self._unet.attn_processors
        self._catching = {n: CatchAttention(self._caught) if "attn2" in n else p for n, p in self._stock.items()}
        self._parameters = [*self._unet.parameters(), *self._text_encoder.parameters()]
        self._optimizer = torch.optim.AdamW(
            self._parameters, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-2, fused=True
        )
        self._ema = checkpoint.Ema(self._parameters, decay=0.998)
        self._path, self.start, self.warm_from = folder / "painter.pt", 0, 0
        if state := checkpoint.load(self._path):
            self._go_on(state)
        self._schedule = DDPMScheduler(**BETAS)
        self._snr = (self._schedule.alphas_cumprod / (1 - self._schedule.alphas_cumprod)).to(device)
        self._empty = torch.tensor(tokenizer("", padding="max_length").input_ids)

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
        loss, outside, missing = self._loss(examples, step)
        self._optimizer.zero_grad()
        (loss + ATTENTION_WEIGHT * (outside + missing)).backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._ema.update(step)
        return {"loss": (loss, 4), "outside": (outside, 3), "missing": (missing, 3)}

    def _loss(self, examples: Examples, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of a batch that the step's number draws: the error of the velocity, and the two terms of attention."""
        device, schedule = self._device, self._schedule
        generator = torch.Generator().manual_seed(step)
        chosen = torch.randint(0, len(examples), (BATCH,), generator=generator)
        z = (examples.latents[chosen].float() * self.vae.config.scaling_factor).to(device)
        dropped = torch.rand(BATCH, generator=generator) < DROPPED
        tokens = torch.where(dropped[:, None], self._empty, examples.tokens[chosen]).to(device)
        t = torch.randint(0, schedule.config.num_train_timesteps, (BATCH,), generator=generator)
        named = torch.where((dropped | (t >= ATTENTION_BELOW))[:, None], -1, examples.named[chosen]).to(device)
        noise, t = offset_noise(z.shape, generator).to(device), t.to(device)
        self._unet.set_attn_processor(dict(self._catching))
        self._caught.clear()
        with torch.autocast(device.type, torch.bfloat16):
            embeddings = self._words_apart(tokens, generator)
            velocity = self._unet(schedule.add_noise(z, noise, t), t, embeddings).sample.float()
        weight = self._snr[t].clamp(max=MAX_SNR) / (self._snr[t] + 1)
        error = ((velocity - schedule.get_velocity(z, noise, t)) ** 2).mean((1, 2, 3))
        cells = examples.cells[chosen].to(device)
        outside = attention_outside(self._caught, named, cells)
        missing = attention_missing(self._caught, named, cells)
        return (error * weight).mean(), outside, missing

    def save(self, step: int) -> None:
        """Writes the checkpoint, and the averaged weights as a model."""
        self._unet.set_attn_processor(dict(self._stock))
        models = {"unet": self._unet.state_dict(), "text_encoder": self._text_encoder.state_dict()}
        state = {"step": step, **models, "optimizer": self._optimizer.state_dict(), "ema": self._ema.averages}
        checkpoint.save(self._path, state)
        self._ema.applied(self._export)

    def _export(self) -> None:
        self._unet.save_pretrained(self._folder / "unet")
        self._text_encoder.save_pretrained(self._folder / "text_encoder")
