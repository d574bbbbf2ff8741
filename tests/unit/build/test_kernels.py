"""The recipe chooses the convolutions that a network is trained with."""

import logging

import numpy as np
import pytest
from mindspore import nn

from srtrain.build import kernels as kernels_module
from srtrain.build.kernels import kernels_of, network_to_train, upscaler
from srtrain.build.trainer import build_trainer
from srtrain.cli.main import main
from srtrain.device.backend import Backend
from srtrain.device.precision import Precision
from srtrain.errors import DeviceError, RecipeError
from srtrain.kernels.compile import CannotBuildError
from srtrain.kernels.training import FastCell
from srtrain.models import MODELS
from srtrain.models.upscale import Upscaler
from srtrain.recipe import Data, Recipe, Spec, Train
from srtrain.trainer.log import Log

RECIPE = Recipe(
    name="small",
    scale=2,
    model=Spec("edsr", n_resblocks=1, n_feats=4),
    data=Data(train=Spec("embedded"), gt_patch_px=24, batch_size=2),
    train=Train(steps=3, log_every=1),
    hooks={"checkpoint": Spec("checkpoint")},
)


@pytest.fixture
def said(tmp_path):
    """A log, and what was said in it."""
    log = Log(tmp_path / "run.log", to_console=False)
    yield log, lambda: (tmp_path / "run.log").read_text()
    logging.shutdown()


def convolutions(network):
    return [cell for _, cell in network.cells_and_names() if isinstance(cell, FastCell)]


def test_plain_is_the_model_itself(new_model, said):
    model = new_model()
    assert network_to_train(model, Backend(kernels="plain"), said[0], Precision()) is model
    assert said[1]() == ""


@pytest.mark.parametrize("name", ["f23", "f43", "auto"])
def test_the_library_is_named_in_the_log(new_model, said, name):
    network = network_to_train(new_model(), Backend(kernels=name), said[0], Precision())
    assert len(convolutions(network)) == 1  # the whole network
    assert f"kernels: {'f23' if name == 'f23' else 'f43'} (" in said[1]()
    assert "for 6 convolutions" in said[1]()


def test_without_a_compiler_auto_stays_plain_and_a_name_is_an_error(new_model, said, monkeypatch):
    def refuse(*arguments):
        raise CannotBuildError("there is no C compiler; install one")

    monkeypatch.setattr(kernels_module, "fast_twin", refuse)
    model = new_model()
    assert network_to_train(model, Backend(kernels="auto"), said[0], Precision()) is model
    assert "kernels: MindSpore's own, because there is no C compiler" in said[1]()
    with pytest.raises(DeviceError, match=r"device\.kernels = 'f43' cannot be used here: there is no C"):
        network_to_train(model, Backend(kernels="f43"), said[0], Precision())


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(RecipeError, match=r"device.kernels = 'f44'. Did you mean 'f43'\?"):
        Backend(kernels="f44")


def test_a_run_trains_with_them_and_resumes_bit_for_bit(graph, tmp_path):
    def train(folder, steps, resume=None):
        (tmp_path / folder).mkdir(exist_ok=True)
        recipe = Recipe(**{**vars(RECIPE), "train": Train(steps=steps, log_every=1)})
        trainer = build_trainer(recipe, tmp_path / folder, Backend(kernels="f43"), Log())
        trainer.train(resume)
        return [p.asnumpy() for p in trainer.model.trainable_params()]

    whole = train("whole", 4)
    train("parts", 2)
    parts = train("parts", 4, tmp_path / "parts" / "checkpoints" / "step_00000002")
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_another_precision_takes_mindspores_way(new_model, said):
    class Mixed(Precision):
        pass

    model = new_model()
    assert network_to_train(model, Backend(kernels="f43"), said[0], Mixed()) is model
    assert "kernels: MindSpore's own, because the library computes in float32" in said[1]()


def test_evaluations_run_on_them_with_the_present_weights(new_model, monkeypatch):
    model, backend = new_model(), Backend()
    lq = np.random.default_rng(0).uniform(0, 255, (1, 3, 9, 7)).astype(np.float32)
    fast, plain = upscaler(model, backend), Upscaler(model)
    assert not isinstance(fast, Upscaler)
    np.testing.assert_allclose(fast(lq), plain(lq), atol=0.01)
    before = fast(lq)
    for parameter in model.trainable_params():
        parameter.set_data(parameter * 1.1)
    assert np.abs(fast(lq) - before).max() > 1
    np.testing.assert_allclose(fast(lq), plain(lq), atol=0.01)


def test_what_the_library_cannot_run_is_evaluated_by_mindspore(new_model):
    class Own(nn.Cell):
        def __init__(self):
            super().__init__()
            self.inner = new_model()

        def construct(self, x):
            return self.inner(x)

    assert isinstance(upscaler(Own(), Backend()), Upscaler)
    assert isinstance(upscaler(new_model(), Backend(kernels="plain")), Upscaler)
    assert isinstance(
        upscaler(MODELS.build("edsr", {"scale": 2}, n_resblocks=1, n_feats=8, kernel_px=5), Backend()),
        Upscaler,
    )
    halves = upscaler(MODELS.build("esrn", {"scale": 2}, blocks=("C_2_16_16",)), Backend())
    assert not isinstance(halves, Upscaler)


def test_the_kernels_of_a_run_have_a_name():
    assert kernels_of(Backend(kernels="plain")) == "plain"
    method, instructions, build = kernels_of(Backend()).split(", ")
    assert (method, len(build)) == ("f43", 24)
    assert instructions in ("AVX-512", "AVX2", "portable")


def test_a_run_that_computes_activations_again_uses_mindspores(tmp_path):
    recipe = Recipe(**{**vars(RECIPE), "train": Train(steps=1, log_every=1, recompute=True)})
    trainer = build_trainer(recipe, tmp_path, Backend(), Log())
    assert convolutions(trainer.update.network) == []
    recipe = Recipe(**{**vars(RECIPE), "train": Train(steps=1, log_every=1)})
    assert len(convolutions(build_trainer(recipe, tmp_path, Backend(), Log()).update.network)) == 1


def test_print_config_names_them(repo_root, capsys):
    for words, told in (((), kernels_of(Backend())), (("device.kernels=plain",), "plain")):
        assert main(["run", str(repo_root / "recipes" / "quickstart.py"), "--print-config", *words]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == f"# kernels on this machine: {told}"
