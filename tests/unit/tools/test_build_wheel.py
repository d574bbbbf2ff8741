"""The wheel: it brings the compiled kernels, and what is installed from it works in another folder."""

import configparser
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

pytestmark = pytest.mark.slow

WITHOUT_COMPILER = """
from srtrain.kernels import compile
compile.shutil.which = compile.find_spec = lambda name: None
from srtrain.kernels.library import load_library
library = load_library()
print(library.instructions, library.file)
"""


def test_every_package_is_installed(repo_root):
    config = configparser.ConfigParser()
    config.read(repo_root / "setup.cfg", encoding="utf-8")
    folders = {"srtrain": "srtrain", "plugins": "srtrain_plugins", "recipes": "srtrain_recipes"}
    found = {
        ".".join([folders[folder], *file.parent.relative_to(repo_root / folder).parts])
        for folder in folders
        for file in (repo_root / folder).rglob("__init__.py")
    }
    assert sorted(config["options"]["packages"].split()) == sorted(found)


@pytest.fixture(scope="module")
def wheel(repo_root, tmp_path_factory):
    pytest.importorskip("wheel")
    folder = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "tools/build_wheel.py", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=repo_root, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = folder.iterdir()
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Return a function that runs Python in another folder with what the wheel installs, before this checkout."""
    site, elsewhere = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("elsewhere")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site), "SRTRAIN_CACHE": str(elsewhere / "cache")}

    def run(*words):
        done = subprocess.run(
            [sys.executable, *words],
            capture_output=True,
            text=True,
            cwd=elsewhere,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    run.site, run.elsewhere = site, elsewhere
    return run


def test_it_brings_a_library_for_every_instruction_set(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".so")]
    assert "_x86_64.whl" in wheel.name
    assert sorted(name.split("/")[-1].split("_")[0] for name in names) == ["avx-512", "avx2", "portable"]


def test_its_library_runs_without_a_compiler(installed):
    instructions, file = installed("-c", WITHOUT_COMPILER).split()
    assert file.startswith(str(installed.site))
    assert instructions.lower() in file
    assert not (installed.elsewhere / "cache" / "kernels").exists()


def test_a_picture_is_upscaled_in_another_folder(installed, checkpoint, tiny, repo_root):
    assert installed("-c", "import srtrain; print(srtrain.__file__)").startswith(str(installed.site))
    shutil.copy(repo_root / "srtrain" / "data" / "pictures" / "chelsea.png", installed.elsewhere / "cat.png")
    source = checkpoint(**tiny)
    installed("-m", "srtrain", "infer", str(source), "cat.png", "--to", "large")
    assert [file.name for file in (installed.elsewhere / "large").iterdir()] == ["cat.png"]


def test_models_and_recipes_are_found_in_another_folder(installed, repo_root):
    """After ``pip install`` a photograph can be upscaled and a recipe be run by name, without the checkout."""
    assert (installed.site / "srtrain" / "py.typed").is_file()
    cards = [line.split()[0] for line in installed("-m", "srtrain", "models").splitlines()[1:]]
    built_in = sorted(file.stem for file in (repo_root / "srtrain" / "zoo").glob("*.safetensors"))
    assert cards == built_in
    card = installed("-m", "srtrain", "models", cards[0])
    assert str(installed.site / "srtrain" / "zoo" / f"{cards[0]}.safetensors") in card
    assert "quickstart" in installed("-m", "srtrain", "recipes")
    installed("-m", "srtrain", "recipes", "copy", "edsr_x2", "--to", "mine")
    assert {file.name for file in (installed.elsewhere / "mine").iterdir()} == {"_edsr.py", "edsr_x2.py"}
    config = installed("-m", "srtrain", "run", "edsr_x2", "--print-config", "data.root=pictures")
    assert "data.root = 'pictures'" in config
    shutil.copy(
        repo_root / "srtrain" / "data" / "pictures" / "chelsea.png", installed.elsewhere / "photo.png"
    )
    installed("-m", "srtrain", "infer", "photo.png")
    header = (
        (installed.elsewhere / "photo.png").read_bytes()[16:24],
        (installed.elsewhere / "photo_x2.png").read_bytes()[16:24],
    )
    small, large = ([int.from_bytes(px[:4]), int.from_bytes(px[4:])] for px in header)
    assert large == [2 * side for side in small]
