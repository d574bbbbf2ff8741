"""init_from: at the same scale all weights fit; at another scale, all except those that depend on the scale."""

from pathlib import Path

import numpy as np
import pytest

from srtrain.errors import CheckpointError
from srtrain.models.edsr import EDSR
from srtrain.weights.transfer import Weights, load_weights

EDSR_X2 = {"model": "edsr", "scale": 2}


def edsr(scale, **args):
    return {"model": "edsr", "model_args": args, "scale": scale}


def weights_in(model, about, **changes):
    items = {n: p.asnumpy() for n, p in model.parameters_dict().items()} | changes
    return Weights(Path("w.ckpt"), {n: v for n, v in items.items() if v is not None}, about)


@pytest.fixture
def refusal():
    def refusal(model, weights, about=EDSR_X2):
        before = {n: p.asnumpy().copy() for n, p in model.parameters_dict().items()}
        with pytest.raises(CheckpointError) as caught:
            load_weights(model, weights, about)
        for name, parameter in model.parameters_dict().items():  # all or nothing
            np.testing.assert_array_equal(parameter.asnumpy(), before[name])
        return str(caught.value)

    return refusal


def test_the_same_network_gets_every_weight(new_model, weights_of):
    source, model = new_model(seed=1), new_model(seed=2)
    report = load_weights(model, weights_in(source, EDSR_X2), EDSR_X2)
    loaded, wanted = weights_of(model), weights_of(source)
    for name in wanted:
        np.testing.assert_array_equal(loaded[name], wanted[name])
    assert set(report.loaded) == set(wanted)
    assert (report.skipped, report.initialised, report.differences) == ((), (), ())


@pytest.mark.parametrize("says", [True, False], ids=["a checkpoint that says its scale", "a bare file"])
@pytest.mark.parametrize(("source_scale", "scale"), sorted(EDSR.scale_transfers))
def test_another_scale_gets_the_body_and_what_its_rule_names(
    new_model, weights_of, source_scale, scale, says
):
    source, model = new_model(source_scale, seed=1), new_model(scale, seed=2)
    own, given = weights_of(model), weights_of(source)
    report = load_weights(model, weights_in(source, edsr(source_scale) if says else {}), edsr(scale))
    loaded = weights_of(model)
    # The stages of x4 and the one of x2 do the same: F to 4F channels, shuffled by 2.
    taken = {(2, 4): ("upsampler.0.", "upsampler.2."), (4, 2): ("upsampler.0.",)} if says else {}
    for name in loaded:
        kept = name.startswith("upsampler.") and not name.startswith(taken.get((source_scale, scale), ()))
        wanted = own[name] if kept else given[name.replace("upsampler.2.", "upsampler.0.")]
        np.testing.assert_array_equal(loaded[name], wanted, err_msg=name)
        assert name in (report.initialised if kept else report.loaded)
    assert {"head.weight", "body.0.conv1.weight", "body_end.bias", "tail.bias"} <= set(report.loaded)


def test_the_report_says_what_happened(new_model):
    weights = weights_in(new_model(2), EDSR_X2)
    text = str(load_weights(new_model(3), weights, edsr(3)))
    assert text.splitlines() == [
        "weights from w.ckpt: 10 loaded",
        "  skipped: upsampler.0.weight, upsampler.0.bias",
        "  left as initialised: upsampler.0.weight, upsampler.0.bias",
    ]
    assert "  skipped: (none)" in str(load_weights(new_model(2), weights, EDSR_X2)).splitlines()


def test_arguments_that_no_shape_shows_are_noted(new_model):
    weights = weights_in(new_model(), edsr(2, res_scale=0.1, rgb_mean=[0.0, 0.0, 0.0]))
    report = load_weights(new_model(), weights, edsr(2, res_scale=1.0, rgb_mean=(0.0, 0.0, 0.0)))
    assert str(report).splitlines()[-1] == (
        "  note: res_scale was 0.1 where these weights were trained and is 1.0 here"
    )


def test_networks_are_named_as_papers_name_them(new_model, refusal):
    baseline = weights_in(new_model(), edsr(2, n_resblocks=16, n_feats=64))
    full = edsr(2, n_resblocks=32, n_feats=256, res_scale=0.1)
    assert refusal(new_model(n_resblocks=2), baseline, full).startswith(
        "the weights in w.ckpt are of EDSR-baseline x2 (edsr, n_resblocks=16, n_feats=64), and this network is "
        "EDSR (full) x2 (edsr, n_resblocks=32, n_feats=256, res_scale=0.1): body.1.conv1.weight is missing; "
    )


def test_another_width_is_refused_and_described(new_model, refusal):
    weights = weights_in(new_model(n_feats=8), edsr(2, n_feats=8))
    assert refusal(new_model(), weights, edsr(2, n_feats=4)).startswith(
        "the weights in w.ckpt are of edsr x2 (edsr, n_feats=8), and this network is edsr x2 (edsr, n_feats=4): "
        "head.weight is (8, 3, 3, 3) instead of (4, 3, 3, 3); head.bias is (8,) instead of (4,); "
    )
    unnamed = weights_in(new_model(n_feats=8), {})
    assert " are of a network that its file does not name, and " in refusal(new_model(), unnamed)


def test_another_depth_is_refused(new_model, refusal):
    deeper = weights_in(new_model(n_resblocks=2), EDSR_X2)
    assert "body.1.conv1.weight is unknown here; " in refusal(new_model(), deeper)
    shallower = weights_in(new_model(), EDSR_X2)
    assert "body.1.conv1.weight is missing; " in refusal(new_model(n_resblocks=2), shallower)


def test_another_scale_forgives_nothing_outside_the_upsampler(new_model, refusal):
    extra = {"tail.bias": None, "tail.extra": np.zeros(3, np.float32)}
    assert refusal(new_model(3), weights_in(new_model(2), EDSR_X2, **extra), edsr(3)).endswith(
        ": tail.bias is missing; tail.extra is unknown here."
    )


def test_weights_take_the_dtype_of_the_network(new_model, weights_of):
    source = new_model(seed=1)
    half = {"head.bias": source.head.bias.asnumpy().astype(np.float16)}
    model = new_model(seed=2)
    load_weights(model, weights_in(source, EDSR_X2, **half), EDSR_X2)
    assert weights_of(model)["head.bias"].dtype == np.float32


def test_at_the_same_scale_the_upsampler_must_fit_too(new_model, refusal):
    gone = {"upsampler.0.weight": None, "upsampler.0.bias": None}
    assert "upsampler.0.weight is missing" in refusal(new_model(), weights_in(new_model(), EDSR_X2, **gone))


def test_a_misfit_is_named_once(new_model, refusal):
    assert refusal(new_model(), weights_in(new_model(n_feats=8), EDSR_X2)).endswith(
        " and 6 more."
    )  # tail.bias alone has the same shape
