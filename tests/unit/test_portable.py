"""Nothing that only POSIX systems have is needed to import srtrain or to run an exported network."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

CHILD = """
import os, pkgutil, signal, sys

if sys.argv[1] == "import":
    # MindSpore and others choose by the platform's name and import fcntl here; their wheels for Windows do not.
    import cv2, filelock, matplotlib.pyplot, mindspore, mindspore.dataset, moocore, numba, numpy, onnx, onnxruntime
    import PIL.Image, psutil, s3fs, safetensors.numpy, scipy, tensorboardX, tqdm, typeguard

sys.modules["fcntl"] = sys.modules["resource"] = None
for module, names in {
    os: "sysconf sched_getaffinity getuid geteuid fork killpg setsid getpgid pwrite statvfs fchmod mkfifo",
    signal: "SIGKILL SIGUSR1 SIGUSR2 SIGHUP SIGALRM SIGCHLD SIGQUIT pthread_sigmask pthread_kill sigtimedwait sigwait "
            "setitimer alarm",
}.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)

if sys.argv[1] == "import":
    import srtrain, srtrain_plugins
    for package in (srtrain, srtrain_plugins):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                __import__(module.name)
                print(module.name)
else:
    from srtrain.cli.main import main
    sys.exit(main(sys.argv[1:]))
"""


def run(*words):
    done = subprocess.run([sys.executable, "-c", CHILD, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_every_module_is_imported_without_what_only_posix_has():
    names = run("import").split()
    assert {"srtrain.files", "srtrain.trainer.run_folder", "srtrain_plugins.modelarts.transfer"} <= set(names)
    assert len(names) > 150


@pytest.mark.slow
def test_infer_runs_without_what_only_posix_has(exported, tmp_path):
    cv2.imwrite(str(tmp_path / "small.png"), np.full((12, 10, 3), 90, np.uint8))
    target = tmp_path / "large.png"
    run("infer", str(exported / "net.onnx"), str(tmp_path / "small.png"), "--to", str(target))
    assert cv2.imread(str(target)).shape == (24, 20, 3)
