"""``srtrain certify`` on a CPU."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import pytest

from srtrain.cli.main import main
from srtrain.errors import UserError
from srtrain.jobs.diagnose import certify


@pytest.fixture
def start_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Run commands in this process, which saves a start for each."""

    def start(self: certify.Work, *words: str) -> tuple[bool, str]:
        code = main(words)
        shown = capsys.readouterr()
        return code == 0, shown.out + shown.err

    monkeypatch.setattr(certify.Work, "start", start)


@pytest.fixture
def work(tmp_path: Path) -> certify.Work:
    args = argparse.Namespace(device="card", steps=10, tests=tmp_path / "tests", overrides=[], plugin=[])
    return certify.Work(args, tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("start_here")
def test_a_cpu_certifies_itself(tmp_path: Path) -> None:
    file = tmp_path / "cpu.json"
    assert main(["certify", "kernels=plain", "--steps", "10", "--to", str(file)]) == 0
    found = json.loads(file.read_text())
    assert (found["finished"], found["passed"], found["device"]) == (
        True,
        True,
        ["device=cpu", "device.kernels=plain"],
    )
    assert {name: part["result"] for name, part in found["parts"].items()} == {
        "tests": "skipped",
        "training": "passed",
        "mixed precision": "passed",
        "export": "passed",
    }
    training, mixed, exported = (found["parts"][name] for name in ("training", "mixed precision", "export"))
    assert 0 < training["largest_relative_difference"] < 1e-4
    assert list(training["cpu"]) == ["5", "10"]
    assert set(mixed["losses"]) == {"O3", "O1_bfloat16"}
    assert training["cpu"] not in mixed["losses"].values()
    assert all(value < 1e-3 for value in exported["largest_difference"].values())
    assert "grey levels of 255 at most" in exported["engines"]["mindir"]["says"]
    assert "mindspore" in found["versions"]
    assert {"python", "packages", "devices"} <= {finding["name"] for finding in found["findings"]}


@pytest.mark.parametrize(
    ("losses", "result"),
    [
        ({5: 10.04, 10: 5.0}, "passed"),
        ({5: 10.0, 10: 5.03}, "failed"),
        ({5: 10.0}, "failed"),
        ({5: math.nan, 10: 5.0}, "failed"),
    ],
)
def test_a_device_that_learns_otherwise_fails(
    losses: dict[int, float], result: str, work: certify.Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(self: object, name: str, on: object, *more: str) -> tuple[bool, str, dict[int, float]]:
        return True, "", {5: 10.0, 10: 5.0} if name == "cpu" else losses

    monkeypatch.setattr(certify.Work, "train", train)
    found = certify.compare_training(work)
    assert found["result"] == result
    json.dumps(found, allow_nan=False)


@pytest.mark.usefixtures("start_here")
def test_a_part_that_fails_says_why(work: certify.Work) -> None:
    work.device_words = ["device=card"]
    found = certify.train_mixed(work)
    assert found["result"] == "failed"
    assert found["says"].startswith("O3: error: ")
    assert "'card'" in found["output"]["O3"]
    found = certify.check_exports(work)
    assert found["result"] == "failed"
    assert found["says"].startswith("mindir: error: ")
    assert str(work.folder / "device") in found["output"]["mindir"]
    assert found["largest_difference"] == {"mindir": None, "onnx": None}
    assert found["engines"]["mindir"]["result"] == "failed"


@pytest.mark.parametrize(
    ("body", "result", "says"),
    [
        ("pass", "passed", "1 passed"),
        ("assert False", "failed", "1 failed"),
        ("pytest.skip('no card')", "failed", "1 skipped"),
    ],
)
def test_the_tests_of_the_card_must_run_and_pass(
    body: str, result: str, says: str, work: certify.Work
) -> None:
    work.tests.mkdir()
    text = f"import pytest\n\n@pytest.mark.ascend\ndef test_card():\n    {body}\n"
    text += "\ndef test_other():\n    assert False\n"
    (work.tests / "test_card.py").write_text(text)
    (work.tests / "pytest.ini").write_text("[pytest]\nmarkers = ascend\n")
    found = certify.run_tests(work)
    assert found["result"] == result
    assert says in found["says"]


def test_without_tests_the_part_is_skipped(work: certify.Work) -> None:
    assert certify.run_tests(work) == {
        "result": "skipped",
        "says": f"there is no folder {str(work.tests)!r}; give --tests FOLDER",
    }


def test_a_process_that_hangs_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certify, "TIMEOUT", 2)
    done, said = certify._output([sys.executable, "-uc", "import time; print('begun'); time.sleep(60)"])
    assert (done, said) == (False, "begun\n\nerror: no end after 2 s; the process was killed.")


def test_the_file_keeps_what_was_finished_before_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(work: object) -> certify.Result:
        raise OSError(28, "No space left on device", "x.ckpt")

    monkeypatch.setattr(certify, "PARTS", {"one": lambda work: {"result": "passed"}, "two": fail})
    file = tmp_path / "x.json"
    assert main(["certify", "--to", str(file)]) == 1
    assert "'x.ckpt': No space left on device" in capsys.readouterr().err
    found = json.loads(file.read_text())
    assert (found["finished"], found["passed"], found["parts"]["one"]["result"]) == (False, False, "passed")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--steps", "3"], "error: --steps 3 is too short to compare; give 10 or more."),
        (["id"], "error: 'id' is not an option of the device. Write key=value, such as id=3."),
        (["idd=3"], "'idd'"),
        (["--to", "no/such/folder/x.json"], "there is no folder"),
        (["--to", "."], "is a folder"),
        (["--to", "old.json"], "Add --overwrite"),
        (["--device", "ascent", "--to", "x.json"], "'ascent'"),
    ],
)
def test_mistakes(
    words: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.json").write_text("kept")
    assert main(["certify", *words]) == UserError.exit_code
    assert says in capsys.readouterr().err
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("old.json", "kept")]
