"""Data are downloaded and unpacked; weights are downloaded to a path that init_from can read."""

import zipfile
from io import BytesIO

import pytest
from srtrain_plugins.modelarts.options import Options
from srtrain_plugins.modelarts.prepare import fetch_data, fetch_weights

from srtrain.errors import DataError, RecipeError
from srtrain.recipe import Data, Recipe, Spec, Train


@pytest.fixture
def options(tmp_path):
    def make(**changes):
        given = {
            "enable_modelarts": True,
            "data_url": "s3://bucket/data",
            "train_url": "",
            "checkpoint_url": "",
            "need_unzip_in_modelarts": False,
            "need_unzip_files": (),
            "data_path": str(tmp_path / "data"),
            "output_path": str(tmp_path / "train"),
        }
        return Options(**{**given, **changes})

    return make


def zipped(**files):
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"HR/{name}.png", text)
    return buffer.getvalue()


@pytest.fixture
def put(s3):
    return lambda key, content: s3.client.put_object(Bucket="bucket", Key=key, Body=content)


def test_data_are_fetched_and_unpacked_once(put, options, tmp_path):
    put("data/one.zip", zipped(a="aa", b="b"))
    put("data/deep/two.zip", zipped(c="c"))
    said = []
    fetch_data(options(need_unzip_in_modelarts=True), said.append)
    folder = tmp_path / "data"
    assert (folder / "HR" / "a.png").read_text() == "aa"
    assert (folder / "deep" / "HR" / "c.png").read_text() == "c"
    assert "data: one.zip: 2 pictures in HR" in said
    assert f"data: 2 files downloaded to {folder}, 0 already there" in said

    (folder / "HR" / "b.png").write_text("")
    (folder / "deep" / "HR" / "c.png").write_text("C")
    said.clear()
    fetch_data(options(need_unzip_in_modelarts=True), said.append)
    assert f"data: 0 files downloaded to {folder}, 2 already there" in said
    assert "data: deep/two.zip is already unpacked" in said
    assert (folder / "HR" / "b.png").read_text() == "b"  # a size that was wrong is mended
    assert (folder / "deep" / "HR" / "c.png").read_text() == "C"


@pytest.mark.slow
def test_only_the_zip_files_that_are_named_are_unpacked(put, options, tmp_path):
    put("data/one.zip", zipped(a="a"))
    put("data/two.zip", zipped(c="c"))
    fetch_data(options(need_unzip_in_modelarts=True, need_unzip_files=("two.zip",)), lambda text: None)
    assert [p.name for p in (tmp_path / "data" / "HR").iterdir()] == ["c.png"]
    with pytest.raises(DataError) as caught:
        fetch_data(options(need_unzip_in_modelarts=True, need_unzip_files=("tow.zip",)), lambda text: None)
    assert str(caught.value) == (
        f"hooks.modelarts.need_unzip_files names 'tow.zip', which is not in {str(tmp_path / 'data')!r}. "
        f"Did you mean 'two.zip'? Zip files there: one.zip, two.zip."
    )


def test_a_truncated_zip_says_which_copy_to_replace(put, options):
    put("data/one.zip", zipped(a="a" * 500)[:-80])
    with pytest.raises(
        DataError, match=r"one\.zip' is damaged or not readable: File is not a zip file"
    ) as caught:
        fetch_data(options(need_unzip_in_modelarts=True), lambda text: None)
    assert str(caught.value).endswith("The file in s3://bucket/data has the same size, so replace it there.")


def test_nothing_there_is_said(put, options):
    with pytest.raises(DataError, match=r"data_url = 's3://bucket/data' has no files"):
        fetch_data(options(), lambda text: None)
    put("data/picture.png", b"x")
    with pytest.raises(DataError, match="need_unzip_in_modelarts is True, but there is no zip file in "):
        fetch_data(options(need_unzip_in_modelarts=True), lambda text: None)


def test_names_of_zip_files_without_unzipping_are_a_mistake(options):
    with pytest.raises(
        RecipeError, match=r"need_unzip_files = \('a.zip',\), but need_unzip_in_modelarts is False"
    ):
        options(need_unzip_files=("a.zip",))


def recipe(**changes):
    return Recipe(name="night", scale=2, model=Spec("edsr"), train=Train(steps=1), **changes)


def test_data_and_run_folder_get_their_place_unless_the_recipe_has_one(options, tmp_path):
    placed = options().place(recipe())
    assert placed.data.root == str(tmp_path / "data")
    assert placed.run_dir == str(tmp_path / "train" / "night")
    kept = recipe(data=Data(root="mine"), run_dir="there")
    assert options().place(kept) == kept
    assert options(data_url="").place(recipe()).data.root == ""


@pytest.mark.parametrize(
    ("given", "result"),
    [
        (
            {"checkpoint_url": "s3://a/b/", "train_url": "s3://c"},
            ("hooks.modelarts.checkpoint_url", "s3://a/b"),
        ),
        ({"train_url": "s3://c"}, ("hooks.modelarts.train_url", "s3://c")),
        ({}, ("", "")),
    ],
)
def test_results_go_to_checkpoint_url_or_else_to_train_url(options, given, result):
    assert options(**given).results == result


@pytest.mark.slow
def test_weights_in_a_store_become_weights_on_the_disk(put, options, tmp_path):
    put("runs/x2/checkpoints/step_00000002/model.ckpt", b"weights")
    put("runs/x2/checkpoints/step_00000002/optimizer.ckpt", b"moments")
    put("runs/x2/checkpoints/step_00000002/state.json", b"{}")
    put("runs/x2/checkpoints/latest", b"step_00000002\n")
    local = tmp_path / "train" / "init_from"

    url = "s3://bucket/runs/x2/checkpoints/step_00000002/model.ckpt"
    changed = fetch_weights(recipe(init_from=url), options(), lambda text: None)
    assert changed.init_from == str(local / "step_00000002" / "model.ckpt")
    assert sorted(p.name for p in (local / "step_00000002").iterdir()) == ["model.ckpt", "state.json"]

    changed = fetch_weights(recipe(init_from="s3://bucket/runs/x2/"), options(), lambda text: None)
    assert changed.init_from == str(local / "x2")
    assert (local / "x2" / "checkpoints" / "step_00000002" / "optimizer.ckpt").read_bytes() == b"moments"

    here = recipe(init_from="runs/x2")
    assert fetch_weights(here, options(), lambda text: None) is here
    for gone in ("s3://bucket/nothing", "s3://bucket/runs/x2/model.ckpt"):
        with pytest.raises(DataError, match=f"init_from = '{gone}' has no files"):
            fetch_weights(recipe(init_from=gone), options(), lambda text: None)
