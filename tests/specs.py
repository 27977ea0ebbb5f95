"""Specs of all kinds, for properties that hold for any."""

from hypothesis import strategies as st

from p2p.spec import EditSpec

# Everything that UTF-8 can write.
texts = st.text(st.characters(codec="utf-8"), max_size=40)
words = st.lists(st.sampled_from(["cat", "dög", "日", 'a"b', "<&>"]), min_size=1, max_size=5).map(" ".join)


def maybe(strategy: st.SearchStrategy) -> st.SearchStrategy:
    """That, or nothing."""
    return st.none() | strategy


@st.composite
def specs(draw) -> EditSpec:
    """From one short target to many long ones."""
    prompt = draw(words)
    share = st.floats(0, 1)
    target = {
        "prompt": prompt,
        "edits": [{"kind": "reweight", "weights": [{"word": prompt, "weight": draw(st.floats(-50, 50))}]}],
        "cross_window": {"stop": draw(share)},
        "local_blend": draw(maybe(st.fixed_dictionaries({"words": st.just([{"word": prompt}]), "threshold": share}))),
    }
    sampling = {
        "seed": draw(st.integers(0, 2**32 - 1)),
        "guidance_scale": draw(maybe(st.floats(0, 50))),
        "negative_prompt": draw(texts),
        "steps": draw(maybe(st.integers(1, 1000))),
    }
    return EditSpec(source={"prompt": prompt}, targets=[target] * draw(st.integers(1, 9)), sampling=sampling)
