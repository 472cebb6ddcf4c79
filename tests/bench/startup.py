"""How long until the page can be used: `python tests/bench/startup.py [-n RUNS] [--chromium FILE]`.

Measures, from the start of a server process on an empty data folder: until GET / answers 200, and until the page is
interactive in Chromium, that is Generate can be clicked, the live socket stands and Gradio's events work. The second
is taken from the request too, once with an empty browser cache (a new browser profile per run) and once reloaded.
The aims: 6 s from process start to the first answer, 2 s from the request to an interactive page.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.browser.driver import CHROMIUM_ARGUMENTS, find_chromium, free_port

SERVE = """
import sys
from modules.app import serve
from modules.cli import parse_arguments
sys.exit(serve(parse_arguments(sys.argv[1:])))
"""
INTERACTIVE = """() => document.documentElement.dataset.live === "connected" && window.easel.form.restored
    && document.querySelector("#txt2img_generate")?.checkVisibility()"""
TIMEOUT_MS = 60_000
MEASURES = {
    "process start -> GET / answers 200": 6.0,
    "process start -> page interactive": None,
    "request -> page interactive, empty cache": 2.0,
    "request -> page interactive, reload": 2.0,
}


@contextmanager
def server_process(folder: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start the server as launch.py does, without opening a desktop's browser."""
    arguments = ["--data-dir", folder, "--port", str(port), "--no-autolaunch", "--use-cpu"]
    command = [sys.executable, "-c", SERVE, *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_for_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return once GET / has answered with 200."""
    while process.poll() is None:
        try:
            if httpx.get(url, timeout=10).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.01)
    raise RuntimeError("the server ended before it answered")


def seconds_to_interactive(page: Page, url: str) -> float:
    """Load the page and return the seconds from the request until it can be used."""
    begun = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(INTERACTIVE, polling=10, timeout=TIMEOUT_MS)
    return time.perf_counter() - begun


def measure_once(browser: Browser) -> list[float]:
    """Start one server and load its page twice in a fresh browser profile."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    page = context.new_page()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        begun = time.perf_counter()
        with server_process(folder, port) as process:
            wait_for_answer(url, process)
            answered = time.perf_counter() - begun
            first = seconds_to_interactive(page, url)
            interactive = time.perf_counter() - begun
            again = seconds_to_interactive(page, url)
            context.close()
    return [answered, interactive, first, again]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", "--runs", type=int, default=5)
    parser.add_argument("--chromium", default=find_chromium())
    flags = parser.parse_args()
    if flags.chromium is None:
        print("No Chromium was found; name one with --chromium or EASEL_CHROMIUM.")
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=flags.chromium, args=CHROMIUM_ARGUMENTS)
        runs = [measure_once(browser) for _ in range(flags.runs)]
        browser.close()
    print(f"{flags.runs} runs, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}; seconds")
    print(f"{'':44} {'median':>7} {'best':>7} {'worst':>7} {'aim':>7}")
    for (name, aim), values in zip(MEASURES.items(), zip(*runs, strict=True), strict=True):
        aimed = "" if aim is None else f"{aim:.1f}"
        print(f"{name:44} {statistics.median(values):7.2f} {min(values):7.2f} {max(values):7.2f} {aimed:>7}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
