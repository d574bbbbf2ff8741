from __future__ import annotations

import re
import shlex

import pytest
from mindspore import nn
from srtrain_plugins.esr.report.architecture import architecture_drawing, architecture_text

from srtrain.models import BLOCKS
from srtrain.models.esrn import EXAMPLE
from srtrain.recipe import Recipe, Spec
from srtrain.recipe.override import override, parse_value


def test_the_text_says_each_block_with_its_widths_and_where_the_scale_is_halved(member) -> None:
    text = architecture_text(*member(7, 33.25, 2, (4, 1)), scale=2)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == (
        "Individual 7 of generation 2, crossover of 4 and 1: x2, 3 blocks, 1 of them at half the feature scale"
    )
    assert lines[2:6] == [
        "block name channels kind feature scale",
        "0 S_4_8_16 32 -> 16 shrink, 4 convolutions of growth 8 1",
        "1 C_4_8_8 16 -> 8 context, 4 convolutions of growth 8 1/2 inside",
        "2 G_4_16_24 8 -> 24 group, 4 convolutions of growth 16 1",
    ]
    assert "PSNR: 33.250 dB\nparameters: 320,000\nmulti-adds: 73.4 G\n" in text


def test_the_first_width_is_that_of_the_network(member) -> None:
    assert "64 -> 16" in architecture_text(*member(0), scale=2, n_feats=64)


def test_the_blocks_can_be_pasted_into_a_recipe(member) -> None:
    text = architecture_text(*member(0, blocks=EXAMPLE), scale=2)
    (spec,) = re.findall(r"^for a recipe: +(.+)$", text, re.MULTILINE)
    assert parse_value(spec) == Spec("esrn", n_feats=32, blocks=EXAMPLE)
    (words,) = re.findall(r"^on a command line: +(.+)$", text, re.MULTILINE)
    recipe = override(Recipe("x", 2, Spec("edsr")), shlex.split(words))
    assert recipe.model == Spec("esrn", n_feats=32, blocks=EXAMPLE)


def test_a_failed_one_says_why(member) -> None:
    assert "failed: out of memory" in architecture_text(*member(0, reason="out of memory"), scale=2)


def test_the_feature_scale_dips_under_the_c_blocks_and_nowhere_else() -> None:
    drawing = architecture_drawing(EXAMPLE, 3)
    boxes = [
        (g.find("title").text.split(":")[0], g.find("rect"))
        for g in drawing.iter("g")
        if g.find("title") is not None
    ]
    assert [name for name, _ in boxes] == list(EXAMPLE)
    spans = {
        (float(r.get("x")), float(r.get("x")) + float(r.get("width"))) for n, r in boxes if n.startswith("C")
    }
    dips = [
        (float(r.get("x")), float(r.get("width"))) for r in drawing.iter("rect") if r.get("class") == "halved"
    ]
    assert len(dips) == len(spans) == 3
    for left, width in dips:
        assert any(a <= left and left + width <= b for a, b in spans)
    texts = [t.text for t in drawing.iter("text")]
    assert texts.count("1/2") == 1 + 3  # the axis and each dip
    assert texts.count("× 3") == 2  # the upsampler and where it leads


def test_a_block_is_as_high_as_it_has_channels() -> None:
    drawing = architecture_drawing(["S_4_8_8", "S_4_8_16", "S_4_8_64"], 2)
    heights = [float(g.find("rect").get("height")) for g in drawing.iter("g") if g.get("class") == "block S"]
    assert heights[1] - heights[0] == pytest.approx((heights[2] - heights[0]) / 7)


def test_a_block_type_of_the_users_own_is_drawn_and_said(member, monkeypatch) -> None:
    class Thin(nn.Cell):
        halves = True

    monkeypatch.setattr(BLOCKS, "_entries", dict(BLOCKS._entries))
    BLOCKS.register("my_thin")(Thin)
    names = ["my_thin_2_8_8", "S_2_8_8"]
    drawing = architecture_drawing(names, 2)
    assert [g.get("class") for g in drawing.iter("g") if g.find("title") is not None] == [
        "block other",
        "block S",
    ]
    assert sum(r.get("class") == "halved" for r in drawing.iter("rect")) == 1
    text = architecture_text(*member(0, blocks=names), scale=2)
    assert "my_thin, 2 convolutions of growth 8  1/2 inside" in text
