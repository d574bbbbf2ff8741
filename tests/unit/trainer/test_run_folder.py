"""One run per folder: the lock, permission to delete, the record, and what a resumed run may change."""

import json
import shutil
import subprocess
import sys

import pytest

from srtrain import plugins
from srtrain.errors import RecipeError, RunFolderError, SrtrainError
from srtrain.hooks import HOOKS
from srtrain.recipe import Data, Optim, Recipe, Spec, Train
from srtrain.recipe.load import load_recipe
from srtrain.recipe.override import override
from srtrain.recipe.record import from_json, to_json
from srtrain.recipe.text import differences
from srtrain.trainer import owned
from srtrain.trainer.owned import claim, own, patterns_of
from srtrain.trainer.run_folder import RunFolder, changes_on_resume, environment, forget_refused

RECIPE = Recipe(
    name="x", scale=2, model=Spec("edsr", n_feats=4), data=Data(train=Spec("embedded")), train=Train(steps=9)
)


def refusal(folder, **how):
    with pytest.raises(RunFolderError) as caught:
        folder.open(**{"resume": False, "overwrite": False, **how})
    return str(caught.value)


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "runs" / "x")
    yield made
    made.close()


@pytest.fixture
def used(folder):
    """A folder with an earlier run."""
    folder.open(resume=False, overwrite=False)
    folder.accept(RECIPE, folder.path)
    (folder.path / "checkpoints" / "step_00000001").mkdir(parents=True)
    (folder.path / "checkpoints" / "latest").write_text("step_00000001\n")
    (folder.path / "run.log").write_text("hello\n")
    folder.close()
    return folder


def test_a_new_folder_is_made(folder):
    folder.open(resume=False, overwrite=False)
    assert folder.path.is_dir()
    assert folder.checkpoints == folder.path / "checkpoints"


HOLD = """
import sys
from pathlib import Path
from srtrain.trainer.run_folder import RunFolder
folder = RunFolder(Path(sys.argv[1]))
folder.open(resume=False, overwrite=False)
print("locked", flush=True)
sys.stdin.readline()
if sys.argv[2] == "close":
    folder.close()
"""


@pytest.mark.parametrize("end", ["close", "kill"])
def test_a_second_process_is_refused_until_the_first_ends(folder, end):
    command = [sys.executable, "-c", HOLD, str(folder.path), end]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        for how in ({}, {"resume": True}, {"overwrite": True}):
            text = refusal(folder, **how)
            assert text.startswith(
                f"the run folder {str(folder.path)!r} is in use by process {other.pid} on "
            )
            assert text.endswith(". Wait for it, stop it, or set run_dir=ANOTHER.")
        if end == "kill":
            other.kill()
        else:
            other.stdin.write("\n")
            other.stdin.flush()
        other.wait()
    folder.open(resume=False, overwrite=False)


def test_a_folder_with_results_asks_for_consent(used):
    assert refusal(used) == (
        f"the run folder {str(used.path)!r} is not empty (checkpoints, command.txt, env.json, files.txt, recipe.json). "
        "Use --resume to continue that run, --overwrite to delete it, or run_dir=ANOTHER."
    )
    assert (used.path / "checkpoints" / "latest").is_file()


def test_resume_keeps_everything(used):
    used.open(resume=True, overwrite=False)
    assert (used.path / "checkpoints" / "latest").read_text() == "step_00000001\n"
    assert used.earlier_recipe() == RECIPE


def test_overwrite_deletes_what_a_run_wrote(used):
    used.open(resume=False, overwrite=True)
    assert (used.path / "checkpoints" / "latest").is_file()  # the start may still be refused
    stacks = used.path / "run.rank0.stacks.log"
    stacks.touch()  # the watchdog of the new run has opened it already
    used.accept(Recipe(**{**vars(RECIPE), "seed": 7}), used.path)
    assert sorted(p.name for p in used.path.iterdir()) == [
        ".lock", ".lock.owner", "command.txt", "env.json", "files.txt", "recipe.json",
        stacks.name,
    ]  # fmt: skip
    assert used.earlier_recipe().seed == 7
    assert (used.path / "command.txt").read_text().count("\n") == 1


def test_overwrite_refuses_what_no_run_wrote_and_deletes_nothing(used):
    (used.path / "thesis.tex").write_text("years of work")
    before = sorted(p.name for p in used.path.iterdir())
    assert refusal(used, overwrite=True) == (
        f"--overwrite will not delete the run in {str(used.path)!r}: the folder also holds what no run wrote "
        f"(thesis.tex). Move it away, or set run_dir=ANOTHER."
    )
    assert sorted(p.name for p in used.path.iterdir()) == before


def test_overwrite_deletes_what_hooks_and_plugins_say_they_write(used, monkeypatch):
    HOOKS.names()  # imports all hooks
    plugins.activate("ascend")
    plugins.activate("esr")
    monkeypatch.setattr(owned, "_owned", set(owned._owned))
    own("mine_*.csv")
    (used.path / "pictures").mkdir()
    for name in (
        "metrics.jsonl",
        "events.out.tfevents.1.host",
        "report.html",
        "architecture.txt",
        "mine_1.csv",
    ):
        (used.path / name).write_text("")
    claim(used.path, "pictures/set5_baby.png").write_text("")
    (used.path / "profile" / "more").mkdir(parents=True)
    (used.path / "search" / "claims").mkdir(parents=True)
    (used.path / "mine.csv").write_text("")
    assert "what no run wrote (mine.csv). Move" in refusal(used, overwrite=True)
    (used.path / "mine.csv").unlink()
    used.open(resume=False, overwrite=True)
    used.accept(RECIPE, used.path)
    assert [path.name for path in used.path.iterdir() if path.is_dir()] == []


def test_an_earlier_run_is_deleted_without_the_plugin_that_wrote_it(used, monkeypatch):
    with (used.path / "files.txt").open("a") as file:
        file.write("found/*.json\n../thesis.tex\n/etc/*\n.ssh\n*\n")
    (used.path / "found").mkdir()
    (used.path / "found" / "1.json").write_text("")
    (used.path.parent / "thesis.tex").write_text("years of work")
    assert {"found/*.json"} == set(patterns_of(used.path)) - owned._owned
    used.open(resume=False, overwrite=True)
    used.accept(RECIPE, used.path)
    assert not (used.path / "found").exists()
    assert (used.path.parent / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    "name",
    [".git/config", ".env", ".ssh/id", "pictures/holiday.jpg", "pictures/set5_holiday.png", "checkpoints/notes.txt",
     "checkpoints/step_00000001/notes.txt", "search/notes.txt", "events.txt", "metrics.csv", "data/"],
)  # fmt: skip
def test_overwrite_refuses_each_name_that_no_run_wrote(used, name):
    file = used.path / name
    if name.endswith("/"):
        file.mkdir()
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
    assert f"what no run wrote ({name})" in refusal(used, overwrite=True)
    assert file.is_dir() or file.read_text() == "mine"
    assert (used.path / "checkpoints" / "latest").is_file()


@pytest.mark.parametrize("name", ["pictures", "checkpoints/step_00000001/model.ckpt", "run.log", "search"])
def test_overwrite_follows_no_link(used, tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "set5_holiday.png").write_text("mine")
    (used.path / "run.log").unlink()
    (used.path / name).symlink_to(elsewhere)
    assert f"what no run wrote ({name} (a link))" in refusal(used, overwrite=True)
    assert (elsewhere / "set5_holiday.png").read_text() == "mine"
    assert (used.path / "checkpoints" / "latest").is_file()


@pytest.mark.parametrize("how", [{}, {"overwrite": True}])
@pytest.mark.parametrize(
    "content", [{}, {"recipe.json": "{}"}, {"recipe.json": "[1"}, {"recipe.json": '{"name": "pancakes"}'}]
)
def test_a_folder_that_is_no_run_folder_is_never_touched(tmp_path, how, content):
    for name, text in {".env": "TOKEN=1", "pictures/holiday.jpg": "sun", **content}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    before = {path: path.stat() for path in tmp_path.rglob("*")}
    assert "is no run folder: it has no recipe.json of a run" in refusal(RunFolder(tmp_path), **how)
    after = {path: path.stat() for path in tmp_path.rglob("*")}
    assert {path: (s.st_mtime_ns, s.st_ino) for path, s in before.items()} == {
        path: (s.st_mtime_ns, s.st_ino) for path, s in after.items()
    }


def test_a_link_is_not_taken_for_the_lock(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "mine")
    assert "has a link '.lock'" in refusal(RunFolder(tmp_path / "run"))
    assert (tmp_path / "mine").read_text() == "mine"


# A start that is refused after the folder was opened


def test_a_refused_start_leaves_nothing(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "deep" / "x")
    folder.open(resume=False, overwrite=False)
    folder.close()
    assert list(tmp_path.iterdir()) == []


def test_a_refused_start_leaves_an_empty_folder_empty(tmp_path):
    folder = RunFolder(tmp_path)
    folder.open(resume=False, overwrite=False)
    folder.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["resume", "overwrite"])
def test_a_refused_resume_and_a_refused_overwrite_change_nothing(used, how):
    (used.path / ".lock.owner").write_text("process 1 on a machine")
    before = {path: path.read_bytes() for path in used.path.rglob("*") if path.is_file()}
    again = RunFolder(used.path)
    again.open(resume=how == "resume", overwrite=how == "overwrite")
    again.close()
    assert {path: path.read_bytes() for path in used.path.rglob("*") if path.is_file()} == before


def test_what_a_killed_start_leaves_does_not_stop_the_next(tmp_path):
    for name in (".lock", ".lock.owner", ".0123456789abcdef.part.json", "run.rank0.stacks.log"):
        (tmp_path / name).write_text("")
    (tmp_path / "launch" / "1").mkdir(parents=True)
    folder = RunFolder(tmp_path)
    folder.open(resume=False, overwrite=False)
    folder.close()


def test_the_launcher_clears_up_after_a_refused_start(tmp_path):
    run, logs = tmp_path / "runs" / "x", tmp_path / "runs" / "x" / "launch" / "1"
    logs.mkdir(parents=True)
    (logs / "worker_0.log").write_text("error: …")
    (run / ".lock").write_text("")
    forget_refused(run, logs)
    assert not run.exists()


def test_the_launcher_keeps_a_run(used):
    logs = used.path / "launch" / "1"
    logs.mkdir(parents=True)
    forget_refused(used.path, logs)
    assert not logs.parent.exists()
    assert (used.path / "checkpoints" / "latest").is_file()
    forget_refused(used.path, None)


def test_resume_needs_a_recorded_run(folder, used, tmp_path):
    empty = RunFolder(tmp_path / "empty")
    assert refusal(empty, resume=True).startswith(
        f"there is no run to resume in {str(empty.path)!r}: it has no recipe.json. Leave --resume out"
    )
    assert not empty.path.exists()
    empty.open(resume=True, overwrite=False, fork=True)  # from a checkpoint of another folder
    empty.close()


@pytest.mark.parametrize("what", ["deleted", "moved", "replaced"])
def test_a_folder_that_disappears_is_noticed(used, tmp_path, what):
    used.open(resume=True, overwrite=False)
    used.accept(RECIPE, used.path)
    used.check_present()
    used.path.rename(tmp_path / "moved")
    if what == "deleted":
        shutil.rmtree(tmp_path / "moved")
    if what == "replaced":
        used.path.mkdir()
    with pytest.raises(
        SrtrainError, match=r"was deleted or moved during the run\. What the run wrote"
    ) as caught:
        used.check_present()
    assert caught.value.exit_code == 1


def test_a_folder_that_cannot_be_used_says_why(tmp_path):
    (tmp_path / "file").write_text("")
    text = refusal(RunFolder(tmp_path / "file" / "x"))
    assert (
        text
        == f"the run folder {str(tmp_path / 'file' / 'x')!r} cannot be used: Not a directory. Set run_dir= elsewhere."
    )


def test_closing_twice_is_harmless(folder):
    folder.open(resume=False, overwrite=False)
    folder.close()
    folder.close()


def test_the_record_says_how_the_run_was_started(folder, tmp_path, monkeypatch):
    source = tmp_path / "mine.py"
    source.write_text("# a recipe – really\n", encoding="utf-8")
    folder.open(resume=False, overwrite=False)
    for arguments in (
        ["srtrain", "run", "mine.py", "data.root=a b"],
        ["srtrain", "run", "mine.py", "--resume"],
    ):
        monkeypatch.setattr(sys, "argv", arguments)
        folder.accept(RECIPE, source)
    assert load_recipe(folder.path) == RECIPE
    assert (folder.path / "recipe.py").read_text(encoding="utf-8") == "# a recipe – really\n"
    commands = (folder.path / "command.txt").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in commands] == [
        "srtrain run mine.py 'data.root=a b'",
        "srtrain run mine.py --resume",
    ]
    versions = json.loads((folder.path / "env.json").read_text())
    assert versions == environment()
    assert versions["mindspore"].startswith("2.")
    assert not [p.name for p in folder.path.iterdir() if p.name.endswith(".part")]


# What a resumed run may change


@pytest.mark.parametrize(
    "change",
    ["train.steps=20", "optim.lr=1e-5", "hooks.ema=ema", "hooks.evaluate.every=7", "data.root=elsewhere",
     "data.workers=4", "train.log_every=1", "run_dir=y", "optim.schedule=cosine", "device=ascend"],
)  # fmt: skip
def test_a_resumed_run_may_change(change):
    changed = override(RECIPE, [change])
    changes = changes_on_resume(RECIPE, changed)
    assert changes == differences(RECIPE, changed)
    assert changes


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ("model.n_feats=8", "model.n_feats was 4 and is now 8"),
        ("model.res_scale=0.1", "model.res_scale was None and is now 0.1"),
        ("model=esrn", "model was 'edsr' and is now 'esrn'; model.n_feats was 4 and is now None"),
        ("scale=4", "scale was 2 and is now 4"),
        ("seed=1", "seed was 2021 and is now 1"),
        ("name=y", "name was 'x' and is now 'y'"),
        ("loss=mse", "loss was 'l1' and is now 'mse'"),
        ("init=truncated_normal", "init was 'kaiming_uniform' and is now 'truncated_normal'"),
        ("init_from=runs/y", "init_from was '' and is now 'runs/y'"),
        ("precision=O2", "precision was 'float32' and is now 'O2'"),
        ("data.train.names=('coffee',)", "data.train.names was None and is now ('coffee',)"),
        ("data.gt_patch_px=48", "data.gt_patch_px was 96 and is now 48"),
        ("data.batch_size=4", "data.batch_size was 16 and is now 4"),
        ("data.augment=False", "data.augment was True and is now False"),
        ("optim.optimizer.beta1=0.5", "optim.optimizer.beta1 was 0.9 and is now 0.5"),
    ],
)
def test_a_resumed_run_may_not_change(change, shown):
    with pytest.raises(RecipeError) as caught:
        changes_on_resume(RECIPE, override(RECIPE, [change]))
    assert str(caught.value) == (
        f"a run cannot change this when it is resumed: {shown}. Start a new run with name=NEW and, to "
        "keep the weights, init_from=THIS_RUN_FOLDER."
    )


def test_all_that_may_not_change_is_said_at_once():
    changed = override(RECIPE, ["seed=1", "scale=3", "optim.lr=1e-5"])
    with pytest.raises(RecipeError, match=r": scale was 2 and is now 3; seed was 2021 and is now 1\. Start"):
        changes_on_resume(RECIPE, changed)


def test_a_name_that_only_begins_like_a_locked_one_is_free():
    old = Recipe(**{**vars(RECIPE), "optim": Optim(lr=1.0)})
    assert changes_on_resume(old, Recipe(**{**vars(RECIPE), "optim": Optim(lr=2.0)})) == {
        "optim.lr": (1.0, 2.0)
    }


def test_a_list_in_a_recipe_does_not_forbid_to_resume(tmp_path):
    file = tmp_path / "lists.py"
    file.write_text(
        "from srtrain.recipe import Data, Recipe, Spec, Train\n\n\ndef recipe():\n"
        "    data = Data(train=Spec('embedded', names=['chelsea']))\n"
        "    return Recipe(name='lists', scale=2, model=Spec('edsr'), data=data, train=Train(steps=1))\n"
    )
    recipe = load_recipe(file)
    assert changes_on_resume(from_json(to_json(recipe)), recipe) == {}


def test_the_logs_of_other_ranks_are_a_runs_own(tmp_path):
    folder = RunFolder(tmp_path / "x")
    folder.open(resume=False, overwrite=False)
    folder.accept(RECIPE, tmp_path)
    folder.close()
    (folder.path / "run.rank1.log").write_text("")
    folder.open(resume=False, overwrite=True)
    folder.close()
