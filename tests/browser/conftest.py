"""One headless Chromium for all tests of this folder, driven through its own driver. Nothing is downloaded or installed: where
Debian's packages `chromium` and `chromium-driver` (or Google's Chrome with its driver) are absent, the tests are skipped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--lang=en"),
)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A `selenium.webdriver.Chrome` with a profile of its own, and with logs of its console and its requests."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is absent: install ecgbench-clip[dev]")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    service = shutil.which("chromedriver")
    if program is None or service is None:
        missing = [name for name, path in (("chromium", program), ("chromedriver", service)) if path is None]
        pytest.skip(f"{' and '.join(missing)} absent: apt-get install chromium chromium-driver")
    options = selenium.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            patch.delenv(name, raising=False)  # the driver is on this machine
        driver = selenium.Chrome(options=options, service=selenium.ChromeService(service))
        driver.get("about:blank")
        driver.get_log("performance")  # of the first tab, which loads a page of the browser's own
        yield driver
        driver.quit()
