"""A JupyterLab of the test's own on the loopback address, and Debian's Chromium to open it in."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHECKOUT = Path(__file__).parents[2]
CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no name leads anywhere
)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser. Without one the test is skipped, or fails where $METST_BROWSER says required."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        how = "no chromium: the explorer is not tried in a browser (Debian: apt-get install chromium)"
        if os.environ.get("METST_BROWSER") == "required":
            pytest.fail(how)
        pytest.skip(how)
    return found


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: the address it listens on, its token, and the folder of its notebooks."""

    address: str
    token: str
    folder: Path


@pytest.fixture(scope="module")
def lab(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab with its own configuration, data, runtime and home folders; no news, no look for updates."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("notebooks")
    runtime, token = home / "runtime", secrets.token_hex(16)
    settings = home / "config" / "lab" / "user-settings" / "@jupyterlab"
    overrides = {
        "notebook-extension/tracker": {"windowingMode": "none"},
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    }
    for name, values in overrides.items():
        (settings / name).parent.mkdir(parents=True, exist_ok=True)
        (settings / f"{name}.jupyterlab-settings").write_text(json.dumps(values))
    own = {
        "HOME": home,
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
        "JUPYTER_RUNTIME_DIR": runtime,
        "IPYTHONDIR": home / "ipython",
        "MPLCONFIGDIR": matplotlib.get_configdir(),  # its list of fonts takes long to make anew
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
    }
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": 0,
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "ServerApp.root_dir": folder,
        "IdentityProvider.token": token,
        "LabApp.expose_app_in_browser": True,
        "LabApp.news_url": None,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.extension_manager": "readonly",
        "ServerApp.shutdown_no_activity_timeout": 120,  # should the test be killed and not end it
        "MappingKernelManager.cull_idle_timeout": 60,
        "MappingKernelManager.cull_interval": 30,
    }
    with open(home / "lab.log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())],
            env={**os.environ, **{name: str(value) for name, value in own.items()}},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Lab(_address(server, runtime, home / "lab.log"), token, folder)
    finally:
        server.terminate()  # ends its kernels as well
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _address(server: subprocess.Popen, runtime: Path, log: Path, seconds: float = 60) -> str:
    """Where the server listens, as soon as it does."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        for path in runtime.glob(f"jpserver-{server.pid}.json"):
            try:
                return json.loads(path.read_text())["url"]
            except ValueError:
                pass  # not yet whole
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Chromium, without a window. Ended with each file: its event loop would stand in the way of others."""
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=list(CHROMIUM))
        try:
            yield opened
        finally:
            opened.close()


@dataclass
class Watch:
    """What a page asked of others than this machine, and what it wrote to the console as an error."""

    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def request(self, url: str) -> None:
        """Note an address, unless it is this machine's or needs no one."""
        if not re.match(r"(https?|wss?)://127\.0\.0\.1[:/]|data:|blob:|about:|file:", url):
            self.outside.append(url)


@pytest.fixture
def watched(browser: Browser) -> Iterator[tuple[Page, Watch]]:
    """A new page of the size of a laptop's window, and what it does behind the reader's back."""
    context, watch = browser.new_context(viewport={"width": 1366, "height": 1200}), Watch()
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.on("request", lambda request: watch.request(request.url))
    page.on("websocket", lambda socket: watch.request(socket.url))
    page.on("console", lambda said: watch.errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: watch.errors.append(str(error)))
    try:
        yield page, watch
    finally:
        context.close()
