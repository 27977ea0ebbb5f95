"""The documents' tables come from reports, whole."""

import pytest

from benchmarks.quality.changes import KINDS
from benchmarks.quality.report import summary
from benchmarks.sweep import SWEPT, plot
from benchmarks.table import tables
from jobs.catalogue import ModelDefaults
from tools.markdown import with_part

NOTHING = summary([])


def test_a_report_becomes_a_table_for_each_figure_that_it_has():
    ours = NOTHING | {
        "success": 0.9,
        "by_kind": NOTHING["by_kind"] | {"tint": {**NOTHING["by_kind"]["tint"], "success": 0.8}},
    }
    judge = {"thing": 0.98, "place": 0.99, "tint": 1.0, "style": 1.0, "iou": 0.9}
    text = tables({"judge": judge, "model": {"thing": 0.9}, "methods": {"unchanged": NOTHING, "ours": ours}})

    assert "| method | all | tint |\n| --- | --- | --- |\n| unchanged |  |  |\n| ours | 0.9 | 0.8 |\n" in text
    assert "| 0.98 | 0.99 | 1.0 | 1.0 | 0.9 |" in text


def test_a_report_of_some_kinds_alone_has_no_examinations():
    text = tables({"methods": {"automatic": NOTHING | {"success": 0.9}}})

    assert text.startswith("Success, of generated sources")


def test_the_judges_and_the_sweeps_reports_have_tables_too():
    judged = {"renders": {"thing": 0.98}, "through_autoencoder": {"thing": 0.97}}
    swept = {"local_blend.start": [{"value": 0.2, "success": 1.0, "preservation_psnr": None}]}

    assert "| through autoencoder | 0.97 |" in tables(judged)
    assert "| local_blend.start | 0.2 | 1.0 |  |" in tables(swept)


def test_what_is_said_of_generated_sources_alone_is_a_table():
    assert tables({"generated": {"success": 0.7}}) == "| source | success |\n| --- | --- |\n| generated | 0.7 |\n"


def test_a_part_of_a_document_is_renewed_and_nothing_else():
    document = "a\n<!-- full -->\nold\n<!-- /full -->\nb"

    assert with_part(document, "full", "new\n") == "a\n<!-- full -->\nnew\n<!-- /full -->\nb"
    with pytest.raises(ValueError, match="no <!-- other -->"):
        with_part(document, "other", "new\n")


def test_a_summary_has_every_kind_and_the_same_three_figures():
    assert set(NOTHING["by_kind"]) == set(KINDS)
    assert all(set(of) == {"success", "preservation_psnr", "counterfactual_psnr"} for of in NOTHING["by_kind"].values())


def test_a_sweep_is_drawn():
    points = [
        {"value": value, "success": value, "preservation_psnr": 30 - value, "counterfactual_psnr": 20.0}
        for value in (0, 1)
    ]

    assert plot(dict.fromkeys(SWEPT, points), ModelDefaults(steps=20, guidance_scale=3.0)).size == (1080, 760)
