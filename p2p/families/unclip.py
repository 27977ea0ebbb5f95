"""unCLIP (DALL-E 2's design, as Karlo) and everything of its layout: a prior imagines a picture's embedding, a decoder
draws pixels of it and of the words, and two networks make them larger."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import pad

from p2p.errors import UnsupportedModel, UnsupportedSize
from p2p.families.described import described
from p2p.families.encoded import Encoded
from p2p.families.packed import pack
from p2p.families.pixels import PixelFamily
from p2p.families.revision import revision_of
from p2p.families.source import source_of
from p2p.families.unclip_parts import UnCLIPParts
from p2p.families.unclip_prior import imagined
from p2p.families.unclip_stage import UnCLIPStage
from p2p.layouts.base import PIPELINE, Part, Parts
from p2p.layouts.model_files import ModelFiles
from p2p.layouts.unclip import UNCLIP
from p2p.spec import SchedulerName

#: The columns that the picture's embedding becomes, which stand in front of the words'.
IMAGE_COLUMNS = 4


class UnCLIP(PixelFamily):
    """An `UnCLIPPipeline`'s parts, as a `ModelFamily`. Its states are the decoder's pixels.

    Args:
        pipeline: `UnCLIPParts`, or anything with the same components.
    Raises:
        UnsupportedModel: a part of it is not handled exactly (`p2p.layouts.unclip`).
    """

    name = "unclip"
    leading = IMAGE_COLUMNS

    def __init__(self, pipeline: Any, revision: str = "unknown") -> None:
        super().__init__(UnCLIPParts(**pipeline.components), revision)
        #: How the prior imagines a picture: an encoding is a function of the prompt alone, so its seed is fixed.
        self.settings: dict[str, Any] = {"prior": {"steps": 25, "guidance_scale": 4.0, "seed": 0}}
        self.stages = (UnCLIPStage(self.pipeline),)
        self._last: tuple[Encoded, Tensor] | None = None

    @classmethod
    def described(cls, pipeline: Any) -> Parts:
        return {**described(pipeline), PIPELINE: Part(UNCLIP.kinds[PIPELINE])}

    @classmethod
    def load(
        cls,
        path: str | ModelFiles,
        *,
        revision: str | None = None,
        device: str,
        dtype: torch.dtype,
        scheduler: SchedulerName | None = None,
    ) -> Self:
        """The model of a diffusers directory or a hub id; safetensors only, never a pickle.

        Args:
            revision: of a hub id that is given as a string.
        Raises:
            UnsupportedModel: naming what the family does not handle, or what is wrong with the files.
        """
        files = ModelFiles(path, revision) if isinstance(path, str) else path
        if files.loras or files.embeddings or files.lora_choices:
            raise UnsupportedModel(
                f"{cls.name} takes no LoRAs or learned words: take `loras`, `lora_choices` and `embeddings` out of its "
                "table of the models file"
            )
        parts = UnCLIPParts.load(source_of(cls.name, files, scheduler), device=device, dtype=dtype)
        for network in (parts.unet, parts.super_res_first, parts.super_res_last):
            pack(network)
        return cls(parts, revision_of(files, dtype))

    def latent_shape(self, height: int | None, width: int | None) -> tuple[int, int, int]:
        channels, rows, columns = super().latent_shape(height, width)
        # diffusers' layer widens a mask only where it is shorter than the pixels: of as many columns, it fails.
        text = IMAGE_COLUMNS + self.tokenizer.model_max_length
        if any(rows * columns == text * site.factor**2 for site in self.attention_sites()):
            factor = self.finishing(height, width).factor
            size = f"{rows * factor}x{columns * factor}"
            raise UnsupportedSize(
                f"{size} pixels have a level of {text} cells, as many as the text has: ask for others"
            )
        return channels, rows, columns

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str], chunks: int = 1) -> Encoded:
        read, nothing = self._read(prompts), self._read([""])
        image = imagined(self.pipeline.prior, self.pipeline.prior_scheduler, read, nothing, **self.settings["prior"])
        return self._encoded(image, read)

    @torch.no_grad()
    def encode_negative(self, prompt: str, chunks: int = 1) -> Encoded:
        # Not what the prior makes of the words, but the embedding that was trained for the case that there is none.
        image = self.pipeline.text_proj.learned_classifier_free_guidance_embeddings[None]
        return self._encoded(image, self._read([prompt]))

    def _read(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Of prompts their embeddings, (prompts, channels), their tokens' states, and which tokens there are."""
        read = self.tokenizer(list(prompts), padding="max_length", return_tensors="pt").to(self.device)
        said = self.pipeline.text_encoder(read.input_ids)
        return said.text_embeds, said.last_hidden_state, read.attention_mask.bool()

    def _encoded(self, image: Tensor, read: tuple[Tensor, Tensor, Tensor]) -> Encoded:
        embedding, states, there = read
        context, labels = self.pipeline.text_proj(
            image_embeddings=image,
            prompt_embeds=embedding,
            text_encoder_hidden_states=states,
            do_classifier_free_guidance=False,
        )
        context = context.to(self.dtype)
        # Words are found in the context, so the columns of the picture stand beside it.
        return Encoded(
            context[:, IMAGE_COLUMNS:],
            {"image": context[:, :IMAGE_COLUMNS], "class_labels": labels.to(self.dtype), "there": there},
        )

    def _called(self, latents: Tensor, timestep: Tensor, texts: Encoded, guidance_scale: Tensor) -> Tensor:
        there = pad(texts.beside["there"].to(latents.dtype), (IMAGE_COLUMNS, 0), value=1.0)
        inputs: Mapping[str, Any] = {"class_labels": texts.beside["class_labels"], "attention_mask": there}
        return self.network(latents, timestep, self._columns(texts), **inputs, return_dict=False)[0]

    def _columns(self, texts: Encoded) -> Tensor:
        """All columns of the text: the very same tensor for the same texts, for layers keep what they make of it."""
        if torch.is_grad_enabled():
            return torch.cat([texts.beside["image"], texts.context], 1)
        if self._last is None or self._last[0] is not texts:
            self._last = texts, torch.cat([texts.beside["image"], texts.context], 1)
        return self._last[1]
