"""``srtrain explain``: every key and every argument has a meaning, taken from the docstrings."""

import pytest

from srtrain import plugins
from srtrain.build.check import NAMED_BY
from srtrain.build.describe import all_keys, describe
from srtrain.cli.main import main
from srtrain.registry import Registry


@pytest.fixture
def explained(capsys):
    def explain(*words):
        assert main(["explain", *words]) == 0
        return capsys.readouterr().out

    return explain


def test_every_key_of_a_recipe_has_a_meaning():
    assert [key for key, meaning in all_keys().items() if not meaning] == []


@pytest.mark.parametrize("plugin", ["", "ascend", "esr", "modelarts"])
def test_every_argument_of_every_name_has_a_meaning(plugin):
    if plugin:
        plugins.activate(plugin)
    missing = [
        part.name
        for registry in dict.fromkeys(NAMED_BY.values())
        for name in registry.names()
        if registry.get(name).__module__.startswith(
            ("srtrain.", "plugins.", "srtrain_plugins.")
        )  # not those of other tests
        for entry in describe(name)
        for part in entry.parts
        if not part.meaning
    ]
    assert missing == []


def test_a_key(explained):
    text = explained("optim.lr")
    assert [line.split(None, 1) for line in text.splitlines()] == [
        ["optim.lr"],
        ["type", "float"],
        ["default", "0.0001"],
        ["meaning", "base learning rate, which the schedule multiplies with a factor."],
    ]


def test_allowed_values_come_from_the_check_itself(explained):
    assert "  allowed  graph, pynative\n" in explained("train.mode")
    assert "  allowed  above 0\n" in explained("data.batch_size")


def test_a_hook_with_its_arguments(explained):
    text = explained("hooks.ema")
    assert text.startswith("hooks.ema=ema\n")
    assert "  hooks.ema.decay\n      float; default 0.999\n      share of the old average" in text


def test_a_label_is_not_a_name(explained):
    assert "period in steps" in explained("hooks.often=evaluate")
    assert "  default  1000\n" in explained("hooks.evaluate.every")


def test_a_model_by_key_and_by_name(explained):
    for word in ("model=edsr", "edsr"):
        text = explained(word)
        assert "number of residual blocks" in text
        assert "default 64" in text


def test_an_argument_of_every_model_that_takes_it(explained):
    text = explained("model.n_feats")
    assert "of model 'edsr'" in text
    assert "of model 'esrn'" in text
    assert "of model 'esrn'" not in explained("model.n_resblocks")


def test_an_optimizer(explained):
    assert "beta1" in explained("optim.optimizer=adam")
    assert "adamw" in explained("optim.optimizer")


def test_a_benchmark(explained):
    assert "expected PSNR" in explained("benchmarks.set5.psnr")
    assert "paper_y" in explained("benchmarks.set5.protocol")


def test_a_recipe_by_name(explained):
    text = explained("edsr_zoo_x2")
    assert "as MindSpore's model zoo trains it" in text
    assert [line.split("  ")[0] for line in text.splitlines() if line.startswith("train.epochs")] == [
        "train.epochs = 6000"
    ]
    assert "passes over the training set" in text
    assert "optim.lr" not in text  # has its default


def test_all_keys_in_one_line_each(explained):
    lines = explained().splitlines()
    assert len(lines) == len(all_keys())
    assert any(line.startswith("optim.lr ") for line in lines)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("optim.lrr", "unknown key 'optim.lrr'. Did you mean 'lr'?"),
        ("edsrr", "'edsrr' is no key of a recipe, no registered name and no recipe. Did you mean 'edsr'?"),
        ("model=edrs", "there is no model named 'edrs'. Did you mean 'edsr'?"),
        ("model.n_feat", "takes no argument 'n_feat'. Did you mean 'n_feats'?"),
        ("hooks.mine", "no hook has the name 'mine'"),
        ("optim.optimizer=adamm", "there is no optimizer 'adamm'. Did you mean 'adam'?"),
    ],
)
def test_an_unknown_word_is_one_error(capsys, word, says):
    assert main(["explain", word]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error
    assert error.count("error:") == 1


def test_every_registry_of_recipes_is_covered():
    kinds = {registry.kind for registry in Registry.instances if registry.package.startswith("srtrain.")}
    others = {"command", "block", "metric", "engine", "export format"}
    assert {registry.kind for registry in NAMED_BY.values()} == {k for k in kinds if k not in others}
