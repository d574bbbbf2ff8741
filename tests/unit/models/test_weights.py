"""init_from: everything fits at the same scale; at another, all but what depends on the scale does."""

import mindspore as ms
import numpy as np
import pytest

from srtrain.errors import CheckpointError
from srtrain.models.weights import load_weights

EDSR_X2 = {"model": "edsr", "scale": 2}


@pytest.fixture
def save(tmp_path):
    def save(model, name="model.ckpt", **changes):
        items = {n: p.asnumpy() for n, p in model.parameters_dict().items()} | changes
        file = tmp_path / name
        ms.save_checkpoint(
            [{"name": n, "data": ms.Tensor(v)} for n, v in items.items() if v is not None], str(file)
        )
        return file

    return save


@pytest.fixture
def refusal():
    def refusal(model, file, about, scale=2):
        before = {n: p.asnumpy().copy() for n, p in model.parameters_dict().items()}
        with pytest.raises(CheckpointError) as caught:
            load_weights(model, file, about, scale)
        for name, parameter in model.parameters_dict().items():  # all or nothing
            np.testing.assert_array_equal(parameter.asnumpy(), before[name])
        return str(caught.value)

    return refusal


def test_the_same_network_gets_every_weight(new_model, save, weights_of):
    source, model = new_model(seed=1), new_model(seed=2)
    report = load_weights(model, save(source), EDSR_X2, 2)
    loaded, wanted = weights_of(model), weights_of(source)
    for name in wanted:
        np.testing.assert_array_equal(loaded[name], wanted[name])
    assert set(report.loaded) == set(wanted)
    assert (report.skipped, report.initialised) == ((), ())


@pytest.mark.parametrize("about", [EDSR_X2, {}], ids=["a checkpoint that says its scale", "a bare file"])
@pytest.mark.parametrize("scale", [3, 4])
def test_another_scale_gets_all_but_the_upsampler(new_model, save, weights_of, scale, about):
    source, model = new_model(2, seed=1), new_model(scale, seed=2)
    own, given = weights_of(model), weights_of(source)
    report = load_weights(model, save(source), about, scale)
    loaded = weights_of(model)
    for name in loaded:
        wanted = own if name.startswith("upsampler.") else given
        np.testing.assert_array_equal(loaded[name], wanted[name])
    assert report.skipped == ("upsampler.0.weight", "upsampler.0.bias")
    assert set(report.initialised) == {n for n in own if n.startswith("upsampler.")}
    assert set(report.loaded) == {n for n in given if not n.startswith("upsampler.")}


def test_the_first_stage_of_x4_is_not_that_of_x2(new_model, save, weights_of):
    """Its shape fits, and its weights mean something else."""
    source, model = new_model(2, seed=1), new_model(4, seed=2)
    own = weights_of(model)["upsampler.0.weight"]
    load_weights(model, save(source), EDSR_X2, 4)
    np.testing.assert_array_equal(weights_of(model)["upsampler.0.weight"], own)


def test_the_report_says_what_happened(new_model, save):
    file = save(new_model(2))
    text = str(load_weights(new_model(3), file, EDSR_X2, 3))
    assert text.splitlines() == [
        f"weights from {file}: 10 loaded",
        "  skipped: upsampler.0.weight, upsampler.0.bias",
        "  left as initialised: upsampler.0.weight, upsampler.0.bias",
    ]
    assert "  skipped: (none)" in str(load_weights(new_model(2), file, EDSR_X2, 2)).splitlines()


def test_another_width_is_refused_and_described(new_model, save, refusal):
    file = save(new_model(n_feats=8))
    assert refusal(new_model(), file, EDSR_X2).startswith(
        f"the weights in {file} (edsr x2) do not fit this network: "
        "head.weight is (8, 3, 3, 3) instead of (4, 3, 3, 3); head.bias is (8,) instead of (4,); "
    )
    assert "(a file that does not say what it holds)" in refusal(new_model(), file, {})


def test_another_depth_is_refused(new_model, save, refusal):
    deeper = save(new_model(n_resblocks=2))
    assert "body.1.conv1.weight is unknown here; " in refusal(new_model(), deeper, EDSR_X2)
    shallower = save(new_model())
    assert "body.1.conv1.weight is missing; " in refusal(new_model(n_resblocks=2), shallower, EDSR_X2)


def test_another_scale_forgives_nothing_outside_the_upsampler(new_model, save, refusal):
    file = save(new_model(2), **{"tail.bias": None, "tail.extra": np.zeros(3, np.float32)})
    assert refusal(new_model(3), file, EDSR_X2, 3).endswith(
        "do not fit this network: tail.bias is missing; tail.extra is unknown here."
    )


def test_a_file_that_is_no_checkpoint_is_named(new_model, refusal, tmp_path):
    file = tmp_path / "picture.ckpt"
    file.write_bytes(b"\x89PNG nothing of the kind")
    assert refusal(new_model(), file, {}) == f"{str(file)!r} is not a MindSpore checkpoint that can be read."


def test_weights_take_the_dtype_of_the_network(new_model, save, weights_of):
    source = new_model(seed=1)
    file = save(source, **{"head.bias": source.head.bias.asnumpy().astype(np.float16)})
    model = new_model(seed=2)
    load_weights(model, file, EDSR_X2, 2)
    assert weights_of(model)["head.bias"].dtype == np.float32


def test_at_the_same_scale_the_upsampler_must_fit_too(new_model, tmp_path):
    source = new_model()
    items = [
        {"name": n, "data": p} for n, p in source.parameters_dict().items() if not n.startswith("upsampler.")
    ]
    ms.save_checkpoint(items, str(tmp_path / "x.ckpt"))
    with pytest.raises(CheckpointError, match=r"upsampler\.0\.weight is missing"):
        load_weights(new_model(), tmp_path / "x.ckpt", {"model": "edsr", "scale": 2}, 2)


def test_a_misfit_is_named_once(new_model, tmp_path):
    source = new_model(n_feats=8)
    ms.save_checkpoint(
        [{"name": n, "data": p} for n, p in source.parameters_dict().items()], str(tmp_path / "x.ckpt")
    )
    with pytest.raises(CheckpointError) as caught:
        load_weights(new_model(), tmp_path / "x.ckpt", {"model": "edsr", "scale": 2}, 2)
    assert str(caught.value).endswith(" and 6 more.")  # tail.bias alone has the same shape
