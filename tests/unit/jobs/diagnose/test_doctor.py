"""The doctor finds real problems: packages on the path, leftover processes, a port in use."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest
from mindspore.run_check._check_version import AscendEnvChecker

from srtrain.cli.main import main
from srtrain.jobs.diagnose import doctor, machine
from srtrain.launch.cluster import LAUNCHER_VARIABLE


def levels(findings):
    return [finding.level for finding in findings]


def test_this_machine_is_described(capsys, monkeypatch):
    monkeypatch.delenv("RANK_TABLE_FILE", raising=False)
    main(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    found = {finding["name"]: finding for finding in report["findings"]}
    assert found["python"]["level"] == "ok"
    assert f"numpy {doctor.metadata.version('numpy')}" in found["packages"]["says"]
    assert (
        found["devices"]["says"].endswith("CPU; no Ascend card here") or "Ascend" in found["devices"]["says"]
    )
    assert all(finding["todo"] for finding in report["findings"] if finding["level"] != "ok")
    assert report["ok"] == all(finding["level"] != "problem" for finding in report["findings"])


def test_a_problem_is_the_exit_code_and_says_what_to_do(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("RANK_TABLE_FILE", str(tmp_path / "none.json"))
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert f"problem  rank table     the rank table {str(tmp_path / 'none.json')!r} cannot be read" in shown
    assert "→ 'srtrain launch rank-table' writes one" in shown


def test_a_numpy_that_breaks_mindspore_is_found(tmp_path, monkeypatch):
    """Install a newer distribution earlier on the path, as pip would."""
    info = tmp_path / "numpy-2.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 2.1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    findings = list(doctor.check_packages())
    (problem,) = (finding for finding in findings if finding.level == "problem")
    assert problem.says == "numpy 2.1.0 does not work (MindSpore is built against NumPy 1)"
    assert problem.todo.startswith("pip install 'numpy")


def install(folder, name, version):
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_cann_is_compared_with_the_list_of_the_installed_mindspore(tmp_path, monkeypatch):
    """Folders as CANN leaves them: version.info in the toolkit, and wheels of the same release."""
    supported = AscendEnvChecker(None).version
    monkeypatch.setenv("ASCEND_HOME_PATH", str(tmp_path))
    (tmp_path / "compiler").mkdir()
    for version, level in ((f"{supported[-1]}.0", "ok"), ("7.0.RC1", "problem")):
        (tmp_path / "compiler" / "version.info").write_text(f"Version={version}\n")
        finding = next(iter(doctor.check_cann(doctor.cann_version())))
        assert (finding.name, finding.level) == ("cann", level)
        assert version in finding.says
        assert all(release in finding.says for release in supported)


def test_the_wheels_of_cann_are_named(tmp_path, monkeypatch):
    missing = list(doctor.check_cann(""))
    assert [(f.name, f.level) for f in missing] == [
        ("cann", "problem"),
        ("te", "problem"),
        ("hccl", "problem"),
    ]
    assert missing[1].todo.startswith("pip install /usr/local/Ascend/ascend-toolkit/latest/lib64/te-*")
    install(tmp_path, "te", f"{AscendEnvChecker(None).version[0]}.0")
    install(tmp_path, "hccl", "0.1.0")
    monkeypatch.syspath_prepend(tmp_path)
    _, te, hccl = doctor.check_cann("")
    assert te.level == "ok"
    assert (hccl.level, "version 0.1.0" in hccl.says) == ("warning", True)


def test_processes_that_a_launcher_left_are_listed():
    """An orphaned process: its parent claims to be a launcher, starts it, and exits."""
    orphan = "import time; print('ready', flush=True); time.sleep(60)"
    launcher = (
        "import os, subprocess, sys\n"
        f"env = dict(os.environ, {LAUNCHER_VARIABLE}=str(os.getpid()), MS_ROLE='MS_WORKER')\n"
        f"child = subprocess.Popen([sys.executable, '-c', {orphan!r}], env=env, stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.readline()\n"
        "os._exit(0)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", launcher], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    pid = int(process.stdout.readline())
    try:
        left, n_live = machine.launched_processes()
        assert pid not in left
        assert n_live >= 1
        process.communicate("\n")
        (finding,) = machine.check_processes()
        assert finding.level == "problem"
        assert str(pid) in finding.todo.split()
    finally:
        os.kill(pid, 9)
    deadline = time.monotonic() + 30  # a kill takes effect when the system comes to it
    while pid in machine.launched_processes()[0] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert pid not in machine.launched_processes()[0]


def test_a_port_in_use_is_a_warning(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(machine, "DEFAULT_PORT", server.getsockname()[1])
        (finding,) = machine.check_ports()
        assert finding.level == "warning"
        assert "--master HOST:PORT" in finding.todo
    (finding,) = machine.check_ports()
    assert finding.level == "ok"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Version=23.0.3\nascendhal_version=7.35.19\n", "23.0.3"),
        ("# version: 1.0\nruntime_running_version=[7.0.0.5.242:7.0.RC1]\n", "7.0.0.5.242:7.0.RC1"),
        ("nothing here\n", "unknown, {file} has no version"),
    ],
)
def test_versions_of_driver_and_toolkit_are_read(text, version, tmp_path):
    file = tmp_path / "version.info"
    assert doctor.version_in(file) == ""
    file.write_text(text)
    assert doctor.version_in(file) == version.format(file=file)


def test_the_toolkit_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("ASCEND_HOME_PATH", str(tmp_path))
    assert doctor.cann_version() == ""
    (tmp_path / "version.cfg").write_text("runtime_running_version=[8.0.0:8.0.RC2]\n")
    assert doctor.cann_version() == "8.0.0:8.0.RC2"
