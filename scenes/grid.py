"""`python -m scenes.grid`: a sheet of what the built-in model paints, one prompt list, seeds 0 to 15, none chosen."""

import argparse
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

#: What the grid shows: every kind of thing a caption can say.
PROMPTS = (
    "a cat on a beach", "a dog on the grass", "a red car on a road", "a house in the snow",
    "a pizza on a table", "a tree on the grass at night", "a robot in the desert", "a fish on a blue background",
    "a purple rabbit on a yellow background", "an apple on a table at sunset", "a frog on the grass in the rain",
    "a panda on a table in black and white", "a cat and a car on a road", "a mushroom and a tree in the snow",
    "a penguin as a sketch on a beach", "a blue strawberry and a sunflower in the desert",
)  # fmt: skip
#: The model's own defaults (`models.toml`).
GUIDANCE_SCALE, STEPS = 3.0, 20


def grid(pipeline: StableDiffusionPipeline, device: torch.device, seed: int = 0, columns: int = 8) -> Image.Image:
    """A sheet of `PROMPTS`, picture n from seed `seed` + n."""
    pipeline.to(device).set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(seed + index) for index in range(len(PROMPTS))]
    images = pipeline(
        list(PROMPTS), num_inference_steps=STEPS, guidance_scale=GUIDANCE_SCALE, generator=generators
    ).images
    side = images[0].width * 2
    sheet = Image.new("RGB", (columns * side, -(-len(images) // columns) * side))
    for index, image in enumerate(images):
        sheet.paste(
            image.resize((side, side), Image.Resampling.LANCZOS), (index % columns * side, index // columns * side)
        )
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="scenes/model")
    parser.add_argument("--output", type=Path, default=Path("docs/scenes.png"))
    arguments = parser.parse_args()
    pipeline = StableDiffusionPipeline.from_pretrained(arguments.model, dtype=torch.float32, use_safetensors=True)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    grid(pipeline, torch.device("cpu")).save(arguments.output, optimize=True)
    print(arguments.output)


if __name__ == "__main__":
    main()
