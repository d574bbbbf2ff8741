"""Parts of a recipe that are built alone."""

import dataclasses

import mindspore as ms
import pytest

from srtrain.build.parts import build_backend
from srtrain.recipe import Recipe, Spec, Train


@pytest.fixture
def cache_of(tmp_path, monkeypatch):
    """Return where MindSpore is told to keep the graphs of a recipe."""

    def folder(recipe):
        told = {}
        set_context = ms.set_context
        with monkeypatch.context() as patch:
            patch.setattr(ms, "set_context", lambda **words: told.update(words))
            train = dataclasses.replace(recipe.train, compile_cache=str(tmp_path))
            build_backend(dataclasses.replace(recipe, train=train))
        set_context(mode=ms.PYNATIVE_MODE)
        assert told["enable_compile_cache"]
        assert told["compile_cache_path"].startswith(str(tmp_path))
        return told["compile_cache_path"]

    return folder


def test_recipes_share_no_compiled_graph_unless_they_are_equal(cache_of):
    recipe = Recipe("a", 2, Spec("edsr", n_feats=4), train=Train(steps=4, mode="pynative"))
    changes = (
        {"loss": Spec("mse")},
        {"model": Spec("edsr", n_feats=4, res_scale=0.1)},
        {"hooks": {}},
        {"scale": 3},
    )
    folders = [cache_of(recipe), *(cache_of(dataclasses.replace(recipe, **change)) for change in changes)]
    assert len(set(folders)) == len(folders)
    assert cache_of(dataclasses.replace(recipe, name="b", run_dir="elsewhere")) == folders[0]
