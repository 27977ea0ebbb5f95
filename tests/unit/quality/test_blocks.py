"""Reading maps in some blocks of the network alone, and the table of the model that this was measured on."""

from pathlib import Path

from scenes.flow.evaluate import row
from tests import families, tiny_flows


def test_maps_are_read_in_the_named_blocks_alone_and_afterwards_as_before():
    family = families.of(tiny_flows.sd3())
    before = family.attention_sites()

    with family.read_in({1}):
        assert {site.block for site in family.attention_sites() if site.is_read} == {1}

    assert family.attention_sites() == before
    assert {site.block for site in before if site.is_read} != {1}


def test_the_model_is_served_with_the_table_that_it_was_shipped_with():
    assert row().strip() in Path("models.toml").read_text(encoding="utf-8")
