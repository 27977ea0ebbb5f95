"""Sites whose columns are of text and of pixels: their maps, and their layouts as windows open and close."""

import pytest
import torch

from p2p.attention.control import AttentionControl, Controlled, PairRows
from p2p.attention.maps import AttentionMaps
from p2p.attention.sites import AttentionSite, Keys
from p2p.plan import CrossAttentionEdit, EditPlan

TOKENS, LEADING, POSITIONS, ROWS = 5, 2, 16, 3
SITE = AttentionSite("both", Keys.BOTH, 1, is_read=True, is_carried=True, leading=LEADING)
#: Of each step, whether words' columns and pixels' are the source's.
WINDOWS = [(True, True), (True, False), (False, True), (False, False)]


def plan() -> EditPlan:
    drawn = torch.Generator().manual_seed(3)
    return EditPlan(
        steps=len(WINDOWS),
        cross=CrossAttentionEdit(
            mapper=torch.rand(ROWS - 1, TOKENS, TOKENS, generator=drawn),
            alphas=torch.rand(ROWS - 1, TOKENS, generator=drawn),
            equalizer=torch.rand(ROWS - 1, TOKENS, generator=drawn) * 4 - 2,
            schedule=torch.stack([torch.full((ROWS - 1, TOKENS), float(words)) for words, _ in WINDOWS]),
        ),
        self_schedule=torch.tensor([[pixels] * (ROWS - 1) for _, pixels in WINDOWS]),
        blend=None,
    )


@pytest.fixture
def layer():
    """Queries, and keys and values of text and of pixels."""
    drawn = torch.Generator().manual_seed(4)
    q, k_image, v_image = torch.randn(3, ROWS, 2, POSITIONS, 4, generator=drawn)
    k, v = torch.randn(2, ROWS, 2, LEADING + TOKENS, 4, generator=drawn)
    return q, k, v, (k_image, v_image)


def control(maps=None) -> AttentionControl:
    return AttentionControl([Controlled(plan(), PairRows(0, (1, 2)), maps)], 1, (4, 4))


def attend(control, layer, context):
    q, k, v, pixels = layer
    return control.attend(SITE, q, *control.text_projections(SITE, context, lambda rows: (k, v)), pixels)


def test_a_phase_of_words_or_of_pixels_leaves_nothing_to_the_next_one(layer):
    through, context = control(), torch.zeros(ROWS, 1)
    for step in (0, 1, 2, 3, 1, 0):
        through.at_step(step)
        anew = control()
        anew.at_step(step)

        assert torch.equal(attend(through, layer, context), attend(anew, layer, context))


def test_a_step_at_which_nothing_is_carried_over_is_the_plain_layer(layer):
    q, k, v, (k_image, v_image) = layer
    at_rest = control()
    at_rest.at_step(3)

    plain = torch.nn.functional.scaled_dot_product_attention(q, torch.cat([k, k_image], 2), torch.cat([v, v_image], 2))
    assert not at_rest.is_active(SITE)
    assert torch.equal(attend(at_rest, layer, torch.zeros(ROWS, 1)), plain)


def test_maps_are_the_words_part_of_one_softmax_over_all_columns(layer):
    maps = AttentionMaps()
    reading = control(maps)
    reading.at_step(3)
    attend(reading, layer, torch.zeros(ROWS, 1))
    reading.end_step()

    q, k, _, (k_image, _) = layer
    probs = (q @ torch.cat([k, k_image], 2).transpose(-1, -2) / 2).softmax(-1).mean(1)
    words = probs[..., LEADING : LEADING + TOKENS]
    # float32 sums of a dozen terms, in another order
    torch.testing.assert_close(maps.mean(), words.transpose(1, 2).unflatten(-1, (4, 4)), rtol=1e-5, atol=1e-6)
