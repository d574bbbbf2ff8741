"""Recipes are read, overridden, checked, printed and read back; all mistakes are reported at once."""

import dataclasses
import re
import sys

import pytest

from srtrain.errors import RecipeError
from srtrain.recipe import Benchmark, Data, Epochs, Optim, Recipe, Spec, Train, standard_hooks
from srtrain.recipe.check import check_recipe
from srtrain.recipe.load import load_recipe
from srtrain.recipe.override import override, parse_value
from srtrain.recipe.record import digest, from_json, to_json
from srtrain.recipe.text import differences, flatten, to_text

FULL = Recipe(
    name="full",
    scale=3,
    model=Spec("edsr", n_resblocks=2, rgb_mean=(0.1, 0.2, 0.3), block="residual", res_scale=0.1),
    data=Data(
        root="some/folder",
        train=Spec("embedded", names=("coffee",)),
        gt_patch_px=48,
        augment=False,
        degrade=(Spec("blur", sigma_px=(0.5, 2.0)), Spec("jpeg", quality=(40, 90))),
        cache_dir="fast/disk",
    ),
    train=Train(
        epochs=2.5,
        steps_per_epoch=7,
        log_every=Epochs(0.5),
        mode="pynative",
        threads=2,
        accumulate=4,
        sink_steps=5,
        compile_cache="graphs",
    ),
    optim=Optim(
        optimizer=Spec("sgd", momentum=0.9, nesterov=True),
        lr=3e-4,
        schedule=Spec("milestones", at=(10, 20), gamma=0.1, warmup=Epochs(1)),
        clip_norm=0.5,
        skip_above=5.0,
    ),
    loss=Spec("charbonnier", epsilon=0.1),
    init=Spec("truncated_normal", sigma=0.01),
    init_from="runs/other",
    benchmarks={
        "a": Benchmark(Spec("embedded", names=("chelsea",)), protocol="div2k_rgb", psnr=30.5, ssim=0.9),
        "b": Benchmark(Spec("embedded")),
    },
    hooks=standard_hooks(
        ema=Spec("ema", decay=0.99), pictures=None, nested=Spec("x", table={"k": (1, {"l": None})})
    ),
    plugins=("one", "two.py"),
    seed=5,
    run_dir="elsewhere",
)
SMALL = Recipe(
    name="small",
    scale=2,
    model=Spec("edsr", n_feats=64),
    data=Data(train=Spec("embedded"), gt_patch_px=48),
    train=Train(steps=100),
    benchmarks={"chelsea": Benchmark(Spec("embedded", names=("chelsea",)))},
)


def refusal(call, *args):
    with pytest.raises(RecipeError) as caught:
        call(*args)
    return str(caught.value)


# Dump and reload


@pytest.mark.parametrize("recipe", [FULL, SMALL], ids=["full", "small"])
def test_what_is_written_reads_back_equal(recipe):
    again = from_json(to_json(recipe))
    assert again == recipe
    assert to_json(again) == to_json(recipe)
    assert digest(again) == digest(recipe)
    assert differences(recipe, again) == {}


def test_a_recipe_of_the_test_uses_every_field_other_than_the_default():
    default = Recipe(name="", scale=0, model=Spec(""))
    for owner, plain in ((FULL, default), (FULL.data, Data()), (FULL.train, Train()), (FULL.optim, Optim())):
        unused = [
            f.name for f in dataclasses.fields(owner) if getattr(owner, f.name) == getattr(plain, f.name)
        ]
        assert set(unused) <= {"precision", "device", "batch_size", "cache", "workers", "steps"}


def test_the_digest_changes_with_what_is_said_and_not_with_where_files_are():
    changes = ["seed=6", "model.res_scale=0.2", "hooks.ema.decay=0.98", "benchmarks.a.protocol=paper_y"]
    digests = {digest(override(FULL, [change])) for change in changes}
    assert len(digests | {digest(FULL)}) == len(changes) + 1
    assert digest(override(FULL, ["data.root=x", "run_dir=y"])) == digest(FULL)


@pytest.mark.parametrize("text", ["{", "", "{}", '{"name": "x", "scale": 2, "modell": 1}'])
def test_json_that_is_no_recipe_is_named(text):
    assert refusal(from_json, text, "runs/x/recipe.json").startswith(
        "runs/x/recipe.json is not a recipe that this version can read: "
    )


# Recipe files


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.py"):
        file = tmp_path / name
        file.write_text(text)
        return file

    return write


GOOD = """
from srtrain.recipe import *
def recipe():
    return Recipe(name="mine", scale=2, model=Spec("edsr"), train=Train(steps=3))
"""


def test_a_recipe_file_is_run(write):
    assert load_recipe(write(GOOD)).name == "mine"


def test_a_run_folder_and_its_json_are_recipes_too(write, tmp_path):
    write(to_json(FULL), "recipe.json")
    assert load_recipe(tmp_path) == FULL
    assert load_recipe(tmp_path / "recipe.json") == FULL


def test_a_recipe_may_import_its_neighbours_and_leaves_the_path_as_it_was(write):
    write("STEPS = 17\n", "_shared_by_recipes_of_this_test.py")
    file = write(
        "from _shared_by_recipes_of_this_test import STEPS\n" + GOOD.replace("steps=3", "steps=STEPS")
    )
    before = list(sys.path)
    assert load_recipe(file).train.steps == 17
    assert sys.path == before


def test_a_missing_recipe_suggests_its_neighbour(write, tmp_path):
    write(GOOD, "quickstart.py")
    given = str(tmp_path / "quikstart.py")
    assert refusal(load_recipe, given) == (
        f"there is no recipe {given!r}. Did you mean 'quickstart.py'? Give a .py recipe file, or a run folder to "
        "resume."
    )
    assert "there is no recipe 'nowhere/x.py'. Give a .py" in refusal(load_recipe, "nowhere/x.py")


def test_an_underscore_means_shared(write):
    assert refusal(load_recipe, write(GOOD, "_edsr.py")).endswith(
        "_edsr.py' starts with an underscore: it is shared by recipes and not one itself."
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", r"has no function recipe\(\)\. A recipe file defines: def recipe\(\) -> Recipe:$"),
        (
            "def recipe(): return 3",
            r"^recipe\(\) in '.*mine\.py' returned int, not srtrain\.recipe\.Recipe\.$",
        ),
        ("def recipe(:", r"mine\.py', line 1, cannot be read: SyntaxError: "),
        (
            "import nothing_of_this_name",
            r"cannot be read: ModuleNotFoundError: No module named 'nothing_of_this_",
        ),
        ("from srtrain.recipe import Recipee", r"cannot be read: ImportError: cannot import name 'Recipee'"),
    ],
)
def test_a_file_that_is_no_recipe_says_why(write, text, says):
    assert re.search(says, refusal(load_recipe, write(text)))


def test_a_file_that_is_not_python_is_refused(write):
    assert refusal(load_recipe, write("hello", "notes.txt")).endswith(
        "notes.txt' is not a Python file: a recipe ends in .py."
    )


# Overrides


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
def test_an_override_of_each_kind(assignment, get, value):
    assert get(override(SMALL, [assignment])) == value


def test_overrides_apply_in_order_and_leave_the_original_alone():
    before = to_json(SMALL)
    changed = override(
        SMALL, ["hooks.ema=ema", "hooks.ema.decay=0.9", "seed=1", "seed=2", "model=x", "model.y=1"]
    )
    assert changed.hooks["ema"] == Spec("ema", decay=0.9)
    assert changed.seed == 2
    assert changed.model == Spec("x", y=1)
    assert to_json(SMALL) == before


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
def test_an_impossible_override_says_what_and_where(assignment, says):
    assert refusal(override, SMALL, [assignment]).startswith(says)


def test_an_absent_hook_says_how_to_add_it():
    assert refusal(override, SMALL, ["hooks.ema.decay=1"]).endswith("Add one by name first: hooks.ema=NAME.")
    without = override(SMALL, ["hooks.lr=None"])
    assert "there is no 'lr' here" in refusal(override, without, ["hooks.lr.x=1"])


def test_all_mistakes_of_a_command_line_are_reported_together():
    text = refusal(override, SMALL, ["optim.lrr=1", "seed=4", "scale=x", "nonsense", "optim.lr=2"])
    assert [line[:14] for line in text.splitlines()] == ["unknown key 'o", "scale = 'x' is", "'nonsense' is "]


# Checks of a whole recipe


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"train": Train()},
            "say how long to train once: train.steps=None and train.epochs=None (give one of them",
        ),
        (
            {"train": Train(steps=1, epochs=2)},
            "say how long to train once: train.steps=1 and train.epochs=2 (give",
        ),
        ({"train": Train(steps=0)}, "train.steps = 0 must be above 0."),
        ({"train": Train(epochs=-1)}, "train.epochs = -1 must be above 0."),
        ({"train": Train(steps=1, steps_per_epoch=0)}, "train.steps_per_epoch = 0 must be above 0."),
        ({"train": Train(steps=1, log_every=Epochs(0))}, "train.log_every = 0 must be above 0."),
        ({"train": Train(steps=1, threads=-1)}, "train.threads = -1 must be 0 (all cores) or more."),
        ({"train": Train(steps=1, mode="eager")}, "train.mode = 'eager' must be 'graph' or 'pynative'."),
        ({"data": Data(batch_size=0)}, "data.batch_size = 0 must be above 0."),
        ({"data": Data(cache="disk")}, "data.cache = 'disk' must be 'memory', 'mmap' or 'none'."),
        ({"optim": Optim(clip_norm=0.0)}, "optim.clip_norm = 0.0 must be above 0."),
        ({"name": "a/b"}, "name = 'a/b' must be a plain word: it names the run folder."),
        ({"name": ""}, "name = '' must be a plain word: it names the run folder."),
        ({"scale": 0}, "scale = 0 must be above 0."),
        (
            {"scale": 3, "data": Data(gt_patch_px=100)},
            "data.gt_patch_px = 100 is no multiple of scale = 3: the input patch would not be whole. Nearest: 99.",
        ),
        ({"scale": 2.0}, "scale = 2.0 is a float, but must be int."),
        ({"hooks": {"lr": "lr"}}, "hooks = {'lr': 'lr'} is a dict, but must be dict[str, Spec | None]."),
        ({"plugins": "x"}, "plugins = 'x' is a str, but must be tuple[str, ...]."),
        ({"data": Data(workers=True)}, "data.workers = True is a bool, but must be int."),
        (
            {"benchmarks": {"b": Benchmark(Spec("x"), protocol=3)}},
            "benchmarks.b.protocol = 3 is an int, but must be str.",
        ),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(changes, says):
    assert refusal(check_recipe, dataclasses.replace(SMALL, **changes)).startswith(says)


def test_a_good_recipe_passes():
    check_recipe(SMALL)
    check_recipe(FULL)


def test_all_mistakes_of_a_recipe_are_reported_together():
    bad = dataclasses.replace(SMALL, seed="x", scale="y", data=Data(augment="z"))
    assert len(refusal(check_recipe, bad).splitlines()) == 3
    bad = dataclasses.replace(SMALL, scale=3, data=Data(gt_patch_px=100, cache="no"), train=Train(mode="no"))
    assert len(refusal(check_recipe, bad).splitlines()) == 4


# As text


def test_the_text_has_one_line_for_each_key_that_an_override_takes():
    lines = dict(line.split(" = ", 1) for line in to_text(FULL).splitlines())
    assert lines["model"] == "'edsr'"
    assert lines["model.rgb_mean"] == "(0.1, 0.2, 0.3)"
    assert lines["train.log_every"] == "0.5ep"
    assert lines["hooks.pictures"] == "None"
    assert lines["benchmarks.a.data.names"] == "('chelsea',)"
    assert lines["hooks.nested.table.k"] == "(1, {'l': None})"
    assert list(lines) == list(flatten(FULL))
    assert differences(FULL, override(FULL, [f"{key}={value}" for key, value in lines.items()])) == {}


def test_the_text_marks_what_the_command_line_changed():
    changed = override(SMALL, ["optim.lr=0.5", "hooks.ema=ema", "hooks.pictures=None"])
    marked = [line for line in to_text(changed, SMALL).splitlines() if "#" in line]
    assert marked == [
        "optim.lr = 0.5    # command line; the recipe says 0.0001",
        "hooks.pictures = None    # command line; the recipe says 'pictures'",
        "hooks.ema = 'ema'    # command line; the recipe says None",
    ]


def test_differences_name_each_leaf_with_both_values():
    changed = override(SMALL, ["model=esrn", "model.depth=3", "data.batch_size=4"])
    assert differences(SMALL, changed) == {
        "model": ("edsr", "esrn"),
        "model.n_feats": (64, None),
        "model.depth": (None, 3),
        "data.batch_size": (16, 4),
    }


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            'return Recipe(name="x", scal=2, model=Spec("edsr"))',
            "TypeError: .*unexpected keyword argument 'scal'",
        ),
        ("return Recipee()", "NameError: name 'Recipee' is not defined"),
        ("return 1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_mistake_inside_recipe_is_one_message(tmp_path, body, reason):
    file = tmp_path / "mine.py"
    file.write_text(f"from srtrain.recipe import *\ndef recipe():\n    {body}\n")
    with pytest.raises(RecipeError, match=rf"mine\.py.*{reason}"):
        load_recipe(file)


def test_removing_a_hook_that_is_not_there_is_a_mistake():
    with pytest.raises(RecipeError, match=r"hooks\.tensorbord: .*Did you mean 'tensorboard'\?"):
        override(SMALL, ["hooks.tensorbord=None"])


def test_a_text_key_takes_digits():
    assert override(SMALL, ["name=42", "run_dir=2024"]).name == "42"


def test_epochs_may_stand_in_a_tuple():
    assert override(SMALL, ["optim.schedule.at=(20ep, 40ep)"]).optim.schedule.args["at"] == (
        Epochs(20),
        Epochs(40),
    )


@pytest.mark.parametrize("text", ["[]", '"x"', "3"])
def test_json_that_is_no_object_is_no_recipe(text):
    with pytest.raises(RecipeError, match="is not a recipe that this version can read"):
        from_json(text)
