"""A browser for tests: headless Chromium through chromedriver's W3C WebDriver interface, standard library only.

    with Browser(folder) as page:
        page.open('http://127.0.0.1:8080/')
        page.run('return document.title')

Everything is bounded in time, and what it started it ends by process id.
"""

import base64
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

from patience import patience

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
    "--window-size=1360,900",
]
TAB = "\ue004"
SHIFT = "\ue008"
ENTER = "\ue007"


class WebDriverError(Exception):
    pass


def missing():
    """The names of the programs that are not installed."""
    return [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]


class Browser:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.profile = self.folder / "chromium-profile"
        self.driver = None
        self.base = self.session = ""

    def __enter__(self):
        log = open(self.folder / "chromedriver.log", "w", encoding="utf-8")
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=log, text=True)
        log.close()
        try:
            self.base = f"http://127.0.0.1:{self._port()}"
            options = {"args": ARGUMENTS + [f"--user-data-dir={self.profile}"], "binary": shutil.which("chromium")}
            always = {"browserName": "chrome", "goog:chromeOptions": options,
                      "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
            self.session = self._start({"capabilities": {"alwaysMatch": always}})
            self._do("/timeouts", {"script": int(20000 * patience()), "pageLoad": int(30000 * patience())})
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            if self.session:
                self._ask("DELETE", f"/session/{self.session}")
        except (WebDriverError, OSError):
            pass  # the driver ends the browser when it is ended itself
        self.driver.terminate()
        try:
            self.driver.wait(10)
        except subprocess.TimeoutExpired:
            self.driver.kill()
            self.driver.wait()
        self.driver.stdout.close()
        self._end_orphans()

    def _end_orphans(self):
        """A driver that is ended while it starts a browser leaves it behind: known by its profile, which is ours alone."""
        ours = f"--user-data-dir={self.profile}".encode()
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and ours in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                pass  # it ended by itself

    def _start(self, wanted, tries=3):
        """The driver gives a browser a minute to start, which a crowded machine may not have."""
        try:
            return self._ask("POST", "/session", wanted)["sessionId"]
        except WebDriverError as error:
            if "session not created" not in str(error) or tries == 1:
                raise
        self._end_orphans()
        shutil.rmtree(self.profile, ignore_errors=True)
        return self._start(wanted, tries - 1)

    def _port(self):
        for line in self.driver.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                return int(found[1])
        raise WebDriverError("chromedriver ended before it listened")

    def _ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30 * patience()) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            told = json.loads(error.read().decode() or "{}").get("value", {})
            raise WebDriverError(f"{path}: {told.get('error')}: {told.get('message')}") from None

    def _do(self, path, body):
        return self._ask("POST", f"/session/{self.session}{path}", body)

    def open(self, url):
        self._do("/url", {"url": url})

    def run(self, script, *args):
        """The value that a script returns; a promise is waited for."""
        return self._do("/execute/sync", {"script": script, "args": list(args)})

    def cdp(self, command, **params):
        return self._do("/goog/cdp/execute", {"cmd": command, "params": params})

    def press(self, *keys):
        """The keys down in their order, and up again."""
        downs = [{"type": "keyDown", "value": key} for key in keys]
        ups = [{"type": "keyUp", "value": key} for key in reversed(keys)]
        self._do("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": downs + ups}]})

    def write(self, text):
        for letter in text:
            self.press(letter)

    def log(self, kind):
        """What came since the last call: 'browser' (console) or 'performance' (events of the network)."""
        return self._do("/se/log", {"type": kind})

    def size(self, width, height, mobile=False, scale=1):
        self.cdp("Emulation.setScrollbarsHidden", hidden=True)
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile)

    def prefer(self, **features):
        """prefer(prefers_color_scheme='dark')"""
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.cdp("Emulation.setEmulatedMedia", features=listed)

    def wait(self, seconds, script, *args):
        """Until the script returns something true, which is returned."""
        end = time.monotonic() + seconds * patience()
        while True:
            value = self.run(script, *args)
            if value:
                return value
            if time.monotonic() > end:
                raise WebDriverError(f"still not after {seconds} s: {script}")
            time.sleep(0.1)

    def picture(self, path, whole=False):
        params = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            box = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
            params["clip"] = {"x": 0, "y": 0, "width": box["width"], "height": box["height"], "scale": 1}
        pathlib.Path(path).write_bytes(base64.b64decode(self.cdp("Page.captureScreenshot", **params)["data"]))
