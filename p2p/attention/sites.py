"""Named places where attention can be changed; a family declares its own, nothing is inferred from a call."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum


class Keys(Enum):
    """What the pixels attend to at a site."""

    IMAGE = "image"
    TEXT = "text"
    #: One softmax over columns of the text and then those of the pixels.
    BOTH = "both"
    #: Pixels and text in one sequence, whose positions all attend to all (`p2p.attention.joint`).
    JOINT = "joint"


@dataclass(frozen=True)
class AttentionSite:
    """One attention layer.

    Attributes:
        name: diffusers' name of its processor, such as "mid_block.attentions.0.transformer_blocks.0.attn2.processor".
        keys: what it attends to.
        factor: latent cells a side that one of its positions covers: 1 at the latents' own resolution, a power of two.
        is_read: whether word maps are read here. All sites that are read have one factor.
        is_carried: whether self-attention is carried over here.
        leading: columns in front of the prompt's tokens that no word has. They correspond one to one, and follow the
            window of the prompt's first token.
        text_first: of a joint site, whether the text stands before the pixels.
        block: of a joint site, the number of its block among those of the network.
    """

    name: str
    keys: Keys
    factor: int
    is_read: bool = False
    is_carried: bool = False
    leading: int = 0
    text_first: bool = False
    block: int = 0

    def parts(self, positions: int, tokens: int) -> tuple[slice, slice]:
        """Of a joint site's positions, those of the pixels and those of the text."""
        if self.text_first:
            return slice(tokens, positions), slice(0, tokens)
        return slice(0, positions - tokens), slice(positions - tokens, positions)


@dataclass(frozen=True)
class Levels:
    """The resolutions at which attention is read and carried over.

    Attributes:
        maps: factor at which word maps and local blend are read.
        self_attention: the finest factor at which self-attention is carried over; coarser ones are too.
    """

    maps: int
    self_attention: int

    def of(self, sites: Iterable[AttentionSite]) -> tuple[AttentionSite, ...]:
        """The same sites, each saying whether it is read and carried over."""
        return tuple(
            replace(
                site,
                is_read=site.keys is not Keys.IMAGE and site.factor == self.maps,
                is_carried=site.keys is not Keys.TEXT and site.factor >= self.self_attention,
            )
            for site in sites
        )


def levels(sites: Sequence[AttentionSite], sample_size: int) -> Levels:
    """The levels of a model trained on `sample_size` latents a side.

    Maps at the largest power of two not above sample_size / 16, or the nearest level that attends to the text at all;
    self-attention from half of that on. For SD 1.x (64 latents): 16x16 and 32x32, as in the published null-text code.
    """
    factors = [site.factor for site in sites if site.keys is not Keys.IMAGE]
    wanted = 1
    while wanted * 2 <= sample_size / 16:
        wanted *= 2
    maps = max(min(wanted, max(factors)), min(factors))
    return Levels(maps, max(1, maps // 2))
