"""`python -m scenes.lora`: trains a LoRA that teaches the built-in model one new thing, a fox.

The network of `scenes/model` stays as it is. Beside its attention's layers and those that follow it, matrices of a
small rank learn what the word "fox" shows (Hu et al. 2022); the file that comes of it is one as users have them. A
third of the pictures show what the model knows already, so that it does not forget that.

The tokenizer splits "fox" into letters, and no caption taught the text encoder what these mean. The text encoder
stays as it is: to tell its three vectors from others is enough for the network to learn the rest.

Stop it at any moment and start it again: it goes on from the last checkpoint in the run's folder.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from scenes import checkpoint
from scenes.dataset import Examples, examples_of, pictures_of
from scenes.objective import Objective
from scenes.world import NEW_THING, Scene, random_scene

MODEL = Path(__file__).parent / "model"
#: Beside the model, so that its revision stays what it is.
TARGET = Path(__file__).parent / "loras" / f"{NEW_THING}.safetensors"

RANK = 8
#: The layers of attention, to the image and to the words, and those that follow it.
LAYERS = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2"]
EXAMPLES = 3072
#: Every how manieth picture does not show the new thing.
KNOWN_EVERY = 3
BATCH = 32
PEAK_LEARNING_RATE = 2e-3
WARM_UP = 30
#: Captions dropped, of pictures of known things alone: the empty prompt is not to show the new one.
DROPPED = 0.3
SAVE_EVERY = 25


def scene_with(scene: Scene, thing: int) -> Scene:
    """The scene with the new thing in the place of one of its own."""
    things = list(scene.things)
    things[thing] = replace(things[thing], name=NEW_THING)
    return replace(scene, things=tuple(things))


def drawn_scenes(count: int, rng: np.random.Generator) -> list[Scene]:
    """Scenes to learn from, one in `KNOWN_EVERY` without the new thing."""
    scenes = [random_scene(rng) for _ in range(count)]
    return [
        scene if index % KNOWN_EVERY == 0 else scene_with(scene, int(rng.integers(len(scene.things))))
        for index, scene in enumerate(scenes)
    ]


def examples(folder: Path, vae: AutoencoderKL, tokenizer: CLIPTokenizer) -> Examples:
    """What is learnt from, from `folder` where it was drawn before."""
    path = folder / "examples.pt"
    if kept := checkpoint.load(path):
        return Examples(**kept)
    rng = np.random.default_rng(19)
    scenes = drawn_scenes(EXAMPLES, rng)
    made = examples_of(scenes, pictures_of(scenes, rng), vae, tokenizer)
    checkpoint.save(path, vars(made))
    return made


def train(folder: Path, steps: int, device: torch.device, model: Path = MODEL) -> dict[str, torch.Tensor]:
    """Trains up to `steps` steps of `BATCH` pictures, from the checkpoint in `folder` where there is one.

    Returns:
        The adapters, by peft's names.
    """
    torch.manual_seed(0)
    unet = UNet2DConditionModel.from_pretrained(model / "unet", dtype=torch.float32).to(device)
    text_encoder = CLIPTextModel.from_pretrained(model / "text_encoder", dtype=torch.float32).to(device)
    vae = AutoencoderKL.from_pretrained(model / "vae", dtype=torch.float32).to(device).eval()
    tokenizer = CLIPTokenizer.from_pretrained(model / "tokenizer")
    learnt = examples(folder, vae, tokenizer)
    for network in (unet, text_encoder):
        network.requires_grad_(False)
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=LAYERS))
    parameters = [parameter for parameter in unet.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0, fused=True)
    objective = Objective(unet, text_encoder, tokenizer, vae.config.scaling_factor)
    path, start = folder / "lora.pt", 0
    if state := checkpoint.load(path):
        start = state["step"]
        set_peft_model_state_dict(unet, state["adapters"])
        optimizer.load_state_dict(state["optimizer"])
    progress = tqdm(range(start, steps), initial=start, total=steps, desc=NEW_THING, mininterval=10)
    for step in progress:
        for group in optimizer.param_groups:
            group["lr"] = PEAK_LEARNING_RATE * min((step + 1) / WARM_UP, 1) * (1 - step / steps)
        generator = torch.Generator().manual_seed(step)
        chosen = torch.randint(0, len(learnt), (BATCH,), generator=generator)
        dropped = (torch.rand(BATCH, generator=generator) < DROPPED) & (chosen % KNOWN_EVERY == 0)
        terms = objective(learnt.chosen(chosen), dropped, generator)
        optimizer.zero_grad()
        terms.total.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 10 == 0:
            values = {"loss": terms.error, "outside": terms.outside, "missing": terms.missing}
            progress.set_postfix({name: f"{value.item():.4f}" for name, value in values.items()})
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            adapters = get_peft_model_state_dict(unet)
            checkpoint.save(path, {"step": step + 1, "adapters": adapters, "optimizer": optimizer.state_dict()})
    return get_peft_model_state_dict(unet)


def save(adapters: dict[str, torch.Tensor], target: Path = TARGET) -> None:
    """Writes the LoRA in half precision, as diffusers' own scripts do."""
    layers = {name: weight.half().contiguous().cpu() for name, weight in adapters.items()}
    StableDiffusionPipeline.save_lora_weights(target.parent, unet_lora_layers=layers, weight_name=target.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/lora"), help="the checkpoint and the cached latents")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--target", type=Path, default=TARGET, help="the LoRA's file")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    save(train(arguments.folder, arguments.steps, device), arguments.target)
    print(arguments.target)


if __name__ == "__main__":
    main()
