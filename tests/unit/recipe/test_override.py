"""Overrides change what they name, check keys and types, and report all mistakes together."""

import pytest

from srtrain.errors import RecipeError
from srtrain.recipe import Benchmark, Epochs, Spec
from srtrain.recipe.override import override, parse_value
from srtrain.recipe.record import to_json


@pytest.mark.parametrize(
    ("assignment", "get", "value"),
    [
        ("optim.lr=2e-4", lambda r: r.optim.lr, 2e-4),
        ("optim.lr=1", lambda r: r.optim.lr, 1),
        ("data.root=a=b", lambda r: r.data.root, "a=b"),
        ("data.root=/x y/z", lambda r: r.data.root, "/x y/z"),
        ("data.augment=False", lambda r: r.data.augment, False),
        ("seed=3", lambda r: r.seed, 3),
        ("model=esrn", lambda r: r.model, Spec("esrn")),
        ("model.n_feats=32", lambda r: r.model, Spec("edsr", n_feats=32)),
        ("model.new=(1,2)", lambda r: r.model, Spec("edsr", n_feats=64, new=(1, 2))),
        ("model.new=[1,[2]]", lambda r: r.model.args["new"], (1, (2,))),
        ("loss=mse", lambda r: r.loss, Spec("mse")),
        ("hooks.evaluate.every=500", lambda r: r.hooks["evaluate"], Spec("evaluate", every=500)),
        ("hooks.ema=ema", lambda r: r.hooks["ema"], Spec("ema")),
        ("hooks.pictures=None", lambda r: r.hooks["pictures"], None),
        ("hooks.evaluate.every=20ep", lambda r: r.hooks["evaluate"].args, {"every": Epochs(20.0)}),
        ("train.log_every=0.5ep", lambda r: r.train.log_every, Epochs(0.5)),
        ("benchmarks.chelsea.protocol=div2k_rgb", lambda r: r.benchmarks["chelsea"].protocol, "div2k_rgb"),
        (
            "benchmarks.chelsea.data.names=('coffee',)",
            lambda r: r.benchmarks["chelsea"].data.args["names"],
            ("coffee",),
        ),
        ("benchmarks.chelsea.data=set5", lambda r: r.benchmarks["chelsea"].data, Spec("set5")),
        ("plugins=('a.py','b')", lambda r: r.plugins, ("a.py", "b")),
        ("optim.clip_norm=None", lambda r: r.optim.clip_norm, None),
        ("optim.schedule=cosine", lambda r: r.optim.schedule, Spec("cosine")),
    ],
)
def test_an_override_of_each_kind(small, assignment, get, value):
    assert get(override(small, [assignment])) == value


def test_overrides_apply_in_order_and_leave_the_original_alone(small):
    before = to_json(small)
    changed = override(
        small, ["hooks.ema=ema", "hooks.ema.decay=0.9", "seed=1", "seed=2", "model=x", "model.y=1"]
    )
    assert changed.hooks["ema"] == Spec("ema", decay=0.9)
    assert changed.seed == 2
    assert changed.model == Spec("x", y=1)
    assert to_json(small) == before


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20ep", Epochs(20)),
        ("0.5ep", Epochs(0.5)),
        ("ep", "ep"),
        ("-1ep", "-1ep"),
        ("1e-4", 1e-4),
        ("None", None),
        ("True", True),
        ("true", "true"),
        ("x3", "x3"),
        ("", ""),
        ("'20ep'", "20ep"),
        ("[1, (2, [3])]", (1, (2, (3,)))),
        ("runs/a-1", "runs/a-1"),
    ],
)
def test_values_are_literals_or_epochs_or_strings(text, value):
    got = parse_value(text)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        (
            "optim.lrr=1",
            "unknown key 'optim.lrr'. Did you mean 'lr'? Known here: clip_norm, lr, optimizer, schedule, skip_above.",
        ),
        (
            "optimm.lr=1",
            "unknown key 'optimm.lr'. Did you mean 'optim'? Known here: benchmarks, data, device, ",
        ),
        ("scale=x3", "scale = 'x3' is a str, but must be int."),
        ("scale=True", "scale = True is a bool, but must be int."),
        ("optim.lr=fast", "optim.lr = 'fast' is a str, but must be float."),
        ("optim.lr=None", "optim.lr = None is None, but must be float."),
        ("data.augment=1", "data.augment = 1 is an int, but must be bool."),
        ("train.steps=10.5", "train.steps = 10.5 is a float, but must be int | None."),
        ("train.log_every=often", "train.log_every = 'often' is a str, but must be int | Epochs."),
        ("plugins=x.py", "plugins = 'x.py' is a str, but must be tuple[str, ...]."),
        ("plugins=(1,)", "plugins = (1,) is a tuple, but must be tuple[str, ...]."),
        ("model=3", "model = 3 is an int, but must be Spec."),
        ("model=None", "model = None is None, but must be Spec."),
        ("hooks.lr=3", "hooks.lr = 3 is an int, but must be Spec | None."),
        ("scale.x=1", "scale.x: 2 has no parts, so 'x' cannot be set in it."),
        ("model.n_feats.x=1", "model.n_feats.x: 64 has no parts, so 'x' cannot be set in it."),
        ("hooks.ema.decay=1", "hooks.ema.decay: there is no 'ema' here."),
        (
            "hooks.evalute.every=1",
            "hooks.evalute.every: there is no 'evalute' here. Did you mean 'evaluate'? Known: ",
        ),
        ("seed", "'seed' is no override; write key=value, such as optim.lr=2e-4."),
        ("=3", "'=3' is no override; write key=value, such as optim.lr=2e-4."),
    ],
)
def test_an_impossible_override_says_what_and_where(small, refusal, assignment, says):
    assert refusal(override, small, [assignment]).startswith(says)


def test_an_absent_hook_says_how_to_add_it(small, refusal):
    text = refusal(override, small, ["hooks.ema.decay=1"])
    assert text.endswith("first: hooks.ema=NAME. 'srtrain explain hooks' describes what there is.")
    without = override(small, ["hooks.lr=None"])
    assert "there is no 'lr' here" in refusal(override, without, ["hooks.lr.x=1"])


def test_a_benchmark_is_added_by_the_name_of_its_set(small, refusal):
    assert "benchmarks.set5=NAME" in refusal(override, small, ["benchmarks.set5.psnr=38.0"])
    added = override(small, ["benchmarks.set5=set5", "benchmarks.set5.psnr=38.0"])
    assert added.benchmarks["set5"] == Benchmark(Spec("set5"), psnr=38.0)
    with_arguments = override(small, ["benchmarks.b=Spec('folder', root='x')"])
    assert with_arguments.benchmarks["b"] == Benchmark(Spec("folder", root="x"))


@pytest.mark.parametrize(("key", "known"), [("optim.lrr", "optim"), ("optimm.lr", "KEY"), ("lrr", "KEY")])
def test_an_unknown_key_points_to_the_explanation_of_the_known_part(small, refusal, key, known):
    assert refusal(override, small, [f"{key}=1"]).endswith(f"'srtrain explain {known}' describes them.")


def test_all_mistakes_of_a_command_line_are_reported_together(small, refusal):
    text = refusal(override, small, ["optim.lrr=1", "seed=4", "scale=x", "nonsense", "optim.lr=2"])
    assert [line[:14] for line in text.splitlines()] == ["unknown key 'o", "scale = 'x' is", "'nonsense' is "]


def test_removing_a_hook_that_is_not_there_is_a_mistake(small):
    with pytest.raises(RecipeError, match=r"hooks\.tensorbord: .*Did you mean 'tensorboard'\?"):
        override(small, ["hooks.tensorbord=None"])


def test_a_text_key_takes_digits(small):
    assert override(small, ["name=42", "run_dir=2024"]).name == "42"


def test_epochs_may_stand_in_a_tuple(small):
    assert override(small, ["optim.schedule.at=(20ep, 40ep)"]).optim.schedule.args["at"] == (
        Epochs(20),
        Epochs(40),
    )
