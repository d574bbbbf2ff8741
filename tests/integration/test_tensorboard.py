"""A run shown by TensorBoard in a real browser."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from srtrain.cli.main import main

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,4000",
)


@pytest.fixture(scope="module")
def tensorboard(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a TensorBoard that shows a short run with one evaluation."""
    runs = tmp_path_factory.mktemp("runs")
    arguments = (
        "model.n_resblocks=1",
        "model.n_feats=4",
        "data.gt_patch_px=16",
        "train.steps=6",
        "train.log_every=2",
        "train.mode=pynative",
        "hooks.evaluate.every=3",
        "hooks.require_gain=None",
    )
    recipe = str(repo_root / "recipes" / "quickstart.py")
    assert main(["run", recipe, f"run_dir={runs / 'watched'}", *arguments]) == 0
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(runs), "--port", str(port)]
    with subprocess.Popen([*command, "--load_fast", "false"], stderr=subprocess.DEVNULL) as server:
        address = f"http://localhost:{port}"
        try:
            _wait_until_up(address, server)
            yield address
        finally:
            server.terminate()


def _wait_until_up(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(240):
        assert server.poll() is None, "TensorBoard ended"
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except (urllib.error.URLError, TimeoutError):
            pass
        try:
            server.wait(0.25)
        except subprocess.TimeoutExpired:
            continue
    pytest.fail(f"TensorBoard did not answer at {address} within a minute")


@pytest.mark.browser
@pytest.mark.parametrize(
    ("page", "texts"),
    [
        ("scalars", ("eval/psnr_chelsea", "eval/gain_chelsea", "train/loss", "train/lr", "usage 4")),
        ("images", ("eval/chelsea_chelsea", "step 6")),
        ("text", ("recipe/text_summary", "name = 'quickstart'", "optim.lr = 0.002")),
    ],
)
def test_the_page_shows_the_run(tensorboard: str, page: str, texts: tuple[str, ...], tmp_path: Path) -> None:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("needs Chromium and chromedriver (Debian: apt install chromium chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.support.ui import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    with tempfile.TemporaryDirectory() as profile:
        for option in (*OPTIONS, f"--user-data-dir={profile}"):
            options.add_argument(option)
        browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        try:
            browser.get(f"{tensorboard}/#{page}")
            shown = WebDriverWait(browser, 60).until(
                lambda page: (text := _visible(page)) and all(t in text for t in texts) and text
            )
            assert "watched" in shown
            assert browser.save_screenshot(str(tmp_path / f"{page}.png"))
        finally:
            browser.quit()


def _visible(browser) -> str:
    """Return the text of the page, including TensorBoard's shadow roots."""
    return str(browser.execute_script(TEXT))


TEXT = """
const walk = (node) => {
  let text = node.nodeType === Node.TEXT_NODE ? node.textContent : "";
  for (const child of [...(node.shadowRoot ? [node.shadowRoot] : []), ...node.childNodes]) {
    if (!["STYLE", "SCRIPT"].includes(child.nodeName)) text += walk(child);
  }
  return text;
};
return walk(document.body).replace(/\\s+/g, " ");
"""
