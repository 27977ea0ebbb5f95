"""The fused form computes what the method says, at every site, and nothing where there is nothing to do."""

from dataclasses import replace
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.attention.control import AttentionControl, Controlled, PairRows
from p2p.attention.layout import EditedRow, cross_layout, take
from p2p.attention.maps import AttentionMaps
from p2p.attention.sites import AttentionSite, Keys, Levels, levels
from p2p.plan import CrossAttentionEdit, EditPlan, phases
from tests import oracle

TOKENS, STEPS = 6, 3
TEXT = AttentionSite("text", Keys.TEXT, 1, is_read=True)
IMAGE = AttentionSite("image", Keys.IMAGE, 1, is_carried=True)


def random_plan(generator: torch.Generator, targets: int) -> EditPlan:
    """Dense mappers, fractional alphas, negative weights, and a schedule of zeros and ones."""

    def rand(*shape):
        return torch.rand(shape, generator=generator)

    return EditPlan(
        steps=STEPS,
        cross=CrossAttentionEdit(
            mapper=rand(targets, TOKENS, TOKENS) * (rand(targets, 1, TOKENS) > 0.2),
            alphas=rand(targets, TOKENS),
            equalizer=rand(targets, TOKENS) * 8 - 4,
            schedule=(rand(STEPS, targets, TOKENS) > 0.5).float(),
        ),
        self_schedule=rand(STEPS, targets) > 0.5,
        blend=None,
    )


def run(seed: int, targets: int, guided: bool, keys: Keys):
    generator = torch.Generator().manual_seed(seed)
    plan = random_plan(generator, targets)
    first = targets + 1 if guided else 0  # unconditional rows
    batch = first + targets + 1
    rows = PairRows(first, tuple(range(first + 1, batch)))
    positions = 9 if keys is Keys.TEXT else 16
    q = torch.randn(batch, 2, positions, 4, generator=generator)
    k, v = torch.randn(2, batch, 2, TOKENS if keys is Keys.TEXT else 16, 4, generator=generator)
    return plan, rows, control_of(plan, first), (q, k, v)


def folded(control: AttentionControl, k, v):
    """Keys and values as a layer gives them to the control: by way of its projections."""
    return control.text_projections(TEXT, torch.zeros(len(k), 1), lambda rows: (k[: len(rows)], v[: len(rows)]))


def control_of(plan: EditPlan, unconditional: int = 0, *, size=(4, 4), maps=None):
    """The control of one job, whose source is its first row."""
    rows = PairRows(0, tuple(range(1, 1 + len(plan.cross.mapper))))
    return AttentionControl([Controlled(plan, rows, maps)], 1, size, unconditional=unconditional)


@given(
    st.integers(0, 10**6), st.integers(1, 4), st.booleans(), st.integers(0, STEPS - 1), st.sampled_from([0, 1 << 30])
)
@settings(deadline=None, max_examples=60)
def test_cross_attention_equals_the_explicit_form(seed, targets, guided, step, gathered_up_to):
    with patch("p2p.attention.control.GATHERED_UP_TO", gathered_up_to):
        _equals_the_explicit_form(seed, targets, guided, step)


def _equals_the_explicit_form(seed, targets, guided, step):
    plan, rows, control, qkv = run(seed, targets, guided, Keys.TEXT)
    control.at_step(step)

    expected = oracle.cross_attention(*qkv, plan, step, rows.source, list(rows.targets))
    # fp32 sums of up to a dozen terms of size up to 10, in another order
    torch.testing.assert_close(control.attend(TEXT, qkv[0], *folded(control, *qkv[1:])), expected, rtol=1e-5, atol=1e-5)


@given(st.integers(0, 10**6), st.integers(1, 4), st.booleans(), st.integers(0, STEPS - 1))
@settings(deadline=None, max_examples=40)
def test_self_attention_equals_the_explicit_form(seed, targets, guided, step):
    plan, rows, control, qkv = run(seed, targets, guided, Keys.IMAGE)
    control.at_step(step)

    expected = oracle.self_attention(*qkv, plan, step, rows.source, list(rows.targets))
    q, k, v = qkv
    if layout := control.carried(IMAGE):
        q, k = (take(take(of_all, layout.projected), layout.spread) for of_all in (q, k))
    torch.testing.assert_close(control.attend(IMAGE, q, k, v), expected, rtol=1e-5, atol=1e-5)


def within(out: torch.Tensor, exact: torch.Tensor, terms: torch.Tensor, roundings: int) -> bool:
    """Whether a sum is as near as so many roundings of its terms, given by the sum of their sizes, leave it."""
    return bool(((out.float() - exact).abs() <= roundings * torch.finfo(out.dtype).eps * terms + 1e-6).all())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(0, STEPS - 1))
@settings(deadline=None, max_examples=30)
def test_half_precision_rounds_and_no_more(dtype, seed, targets, step):
    """Against the explicit form of the same half-precision inputs in float32."""
    plan, rows, control, qkv = run(seed, targets, True, Keys.TEXT)
    q, k, v = (tensor.to(dtype) for tensor in qkv)
    control.at_step(step)
    out = control.attend(TEXT, q, *folded(control, k, v))

    exact = [tensor.float() for tensor in (q, k, v)]
    expected = oracle.cross_attention(*exact, plan, step, rows.source, list(rows.targets))
    sizes = CrossAttentionEdit(**vars(plan.cross) | {"equalizer": plan.cross.equalizer.abs()})
    terms = oracle.cross_attention(
        *exact[:2], exact[2].abs(), replace(plan, cross=sizes), step, rows.source, list(rows.targets)
    )
    # Rounded once each: the scores of the queries and keys, the probabilities, the folded values, both calls'
    # outputs and their sum. Scores are up to 8 here and rounded before the exponential: another 8.
    assert within(out, expected, terms, 14)


def test_a_row_that_takes_its_sources_self_attention_is_not_projected():
    plan, rows, _, _ = run(5, 3, True, Keys.IMAGE)
    plan.self_schedule[0] = torch.tensor([True, False, True])
    control = control_of(plan, unconditional=4)
    control.at_step(0)

    layout = control.carried(IMAGE)
    assert set(range(8)) - set(layout.projected.tolist()) == {rows.targets[0], rows.targets[2]}
    assert layout.spread.tolist() == [0, 1, 2, 3, 4, 4, 5, 4]


def test_jobs_side_by_side_are_each_what_they_are_alone():
    """Different plans, numbers of targets and windows in one batch, guided and not."""
    generator = torch.Generator().manual_seed(2)
    plans = [random_plan(generator, targets) for targets in (1, 3, 2)]
    q = torch.randn(12, 2, 9, 4, generator=generator)
    k, v = torch.randn(2, 12, 2, TOKENS, 4, generator=generator)
    rows = [PairRows(0, (1,)), PairRows(2, (3, 4, 5)), PairRows(6, (7, 8))]
    control = AttentionControl(
        [Controlled(plan, of) for plan, of in zip(plans, rows, strict=True)], 1, (3, 3), unconditional=3
    )
    control.at_step(1)
    together = control.attend(TEXT, q, *folded(control, k, v))

    for plan, of in zip(plans, rows, strict=True):
        part = slice(3 + of.source, 3 + of.source + 1 + len(of.targets))
        alone = control_of(plan, size=(3, 3))
        alone.at_step(1)
        torch.testing.assert_close(together[part], alone.attend(TEXT, q[part], *folded(alone, k[part], v[part])))


def test_rows_that_are_not_targets_are_untouched():
    _, rows, control, qkv = run(7, 2, True, Keys.TEXT)
    control.at_step(0)

    plain = torch.nn.functional.scaled_dot_product_attention(*qkv)
    others = [row for row in range(len(plain)) if row not in rows.targets]
    torch.testing.assert_close(control.attend(TEXT, qkv[0], *folded(control, *qkv[1:]))[others], plain[others])


def test_a_mapper_of_itself_in_the_whole_window_makes_the_rows_equal():
    _, _, _, (q, k, v) = run(3, 1, False, Keys.TEXT)
    ones = torch.ones(1, TOKENS)
    cross = CrossAttentionEdit(mapper=torch.eye(TOKENS)[None], alphas=ones, equalizer=ones, schedule=ones[None])
    plan = EditPlan(steps=1, cross=cross, self_schedule=torch.zeros(1, 1, dtype=torch.bool), blend=None)
    control = control_of(plan, size=(3, 3))
    control.at_step(0)
    v = v[:1].expand_as(v).contiguous()

    out = control.attend(TEXT, q, *folded(control, k, v))
    torch.testing.assert_close(out[1], out[0])


def row(source: int, own: float) -> EditedRow:
    return EditedRow(source, torch.eye(TOKENS), torch.full((TOKENS,), own))


def test_a_row_that_keeps_nothing_of_its_own_is_one_call_and_others_are_two():
    layout = cross_layout([0, 0, 0, 1, 2, 3], {4: row(3, 0.0), 5: row(3, 0.5)}, TOKENS, "cpu")

    assert layout.queries.tolist() == [0, 1, 2, 3, 3, 5, 3]
    assert layout.added_to == slice(5, 6)


def test_rows_of_one_prompt_share_their_keys_and_values():
    layout = cross_layout([0, 0, 0, 1, 2, 3], {4: row(3, 0.0), 5: row(3, 0.5)}, TOKENS, "cpu")

    assert layout.keys.tolist() == [0, 0, 0, 1, 1, 3, 1]
    assert layout.values.tolist() == [0, 0, 0, 1, 3, 2, 4]
    assert len(layout.folded(torch.randn(4, 2, TOKENS, 4))) == 5
    assert layout.calls == 7


def test_steps_are_one_phase_for_as_long_as_nothing_changes():
    schedule = torch.tensor([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])

    assert phases(schedule) == [0, 0, 1, 2]


def test_nothing_is_active_outside_the_windows():
    plan, _, _, _ = run(5, 2, True, Keys.TEXT)
    plan.cross.schedule[1] = 0
    plan.self_schedule[1] = False
    control = control_of(plan)
    control.at_step(1)

    assert not control.is_active(TEXT)
    assert not control.is_active(IMAGE)


def test_self_attention_is_left_alone_where_the_family_does_not_carry_it_over():
    plan, _, _, _ = run(5, 2, True, Keys.IMAGE)
    plan.self_schedule[:] = True
    control = control_of(plan, size=(8, 8))
    control.at_step(0)

    assert not control.is_active(AttentionSite("finer", Keys.IMAGE, 1))
    assert control.is_active(AttentionSite("coarser", Keys.IMAGE, 2, is_carried=True))


def test_a_family_says_where_maps_are_read_and_self_attention_is_carried_over():
    sites = [AttentionSite(f"{keys.value} {factor}", keys, factor) for keys in Keys for factor in (1, 2, 4, 8)]

    said = Levels(maps=4, self_attention=2).of(sites)

    assert [site.name for site in said if site.is_read] == ["text 4", "both 4", "joint 4"]
    assert [site.name for site in said if site.is_carried] == [
        "image 2",
        "image 4",
        "image 8",
        "both 2",
        "both 4",
        "both 8",
        "joint 2",
        "joint 4",
        "joint 8",
    ]


def test_the_maps_are_the_edited_ones():
    plan, rows, _, (q, k, v) = run(11, 2, True, Keys.TEXT)
    maps = AttentionMaps()
    control = control_of(plan, len(q) - 3, size=(3, 3), maps=maps)
    control.at_step(2)
    control.attend(TEXT, q, *folded(control, k, v))
    control.end_step()

    # the oracle's output for one-hot values is its probabilities
    onehot = torch.eye(TOKENS).expand(len(q), 2, TOKENS, TOKENS)
    edited = oracle.cross_attention(q, k, onehot, plan, 2, rows.source, list(rows.targets))
    expected = edited[[rows.source, *rows.targets]].mean(1).transpose(1, 2).unflatten(-1, (3, 3))
    torch.testing.assert_close(maps.mean(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("sample_size", "factors", "maps", "self_attention"),
    [
        (64, (1, 2, 4, 8), 4, 2),
        (96, (1, 2, 4, 8), 4, 2),
        (128, (2, 4), 4, 2),
        (16, (1, 2), 1, 1),
        (64, (1, 2), 2, 1),
        (16, (2, 4), 2, 1),
    ],
)
def test_the_levels_follow_the_models_size(sample_size, factors, maps, self_attention):
    """SD 1.x, SD 2.1, SDXL, `scenes`, and models without attention at the wanted level."""
    sites = [AttentionSite(str(factor), Keys.TEXT, factor) for factor in factors]

    assert levels(sites, sample_size) == Levels(maps, self_attention)
