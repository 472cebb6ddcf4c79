"""How much ten thousand LoRA files cost: `python tests/bench/library.py [-n RUNS] [--files N]`.

Makes small files with the metadata of kohya's trainers, then starts the server in turns without and with them, opens
the page and its Lora tab in Chromium, searches, and scrolls to the end. The first run with the files begins without
anything known of them; later ones find what the first has kept. The aims: at most one second more to the start, and
one second until the tab shows cards.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import struct
import sys
import tempfile
import time
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench.startup import seconds_to_interactive, server_process, wait_for_answer
from tests.browser.driver import CHROMIUM_ARGUMENTS, find_chromium, free_port

TAGS = 60
FOLDERS = 24
ACTS_MS = 60_000
FIRST_CARD = ".easel-model-name"
MEASURES = {
    "process start -> GET / answers 200": None,
    "request -> page interactive, empty cache": 2.0,
    "click on the tab -> cards in sight": 1.0,
    "click again, everything known": 1.0,
    "search by alias -> the one card": None,
    "scroll to the end -> the last card": None,
}


def make_files(folder: Path, count: int) -> None:
    """Write `count` LoRA files into subfolders."""
    for number in range(count):
        place = folder / f"set {number % FOLDERS:02}"
        place.mkdir(parents=True, exist_ok=True)
        tags = {f"tag {(number + each) % 997}": each + 1 for each in range(TAGS)}
        metadata = {
            "ss_output_name": f"alias_{number}",
            "ss_base_model_version": "sdxl_base_v1-0" if number % 3 else "sd_v1-5",
            "ss_tag_frequency": json.dumps({"10_things": tags}),
            "ss_network_dim": "16",
        }
        tensors = {
            f"lora_unet_block_{each}.lora_down.weight": {"dtype": "F16", "shape": [4, 4], "data_offsets": [0, 32]}
            for each in range(40)
        }
        header = json.dumps({"__metadata__": metadata, **tensors}).encode()
        path = place / f"lora {number:05}.safetensors"
        path.write_bytes(struct.pack("<Q", len(header)) + header + number.to_bytes(32, "little"))


def seconds_until(page: Page, act: str, condition: str) -> float:
    """Run a script in the page and return the seconds until a condition holds there."""
    begun = time.perf_counter()
    page.evaluate(act)
    page.wait_for_function(condition, polling=10, timeout=ACTS_MS)
    return time.perf_counter() - begun


def wait_until_read(url: str) -> None:
    """Return once every file's header is known: the first time they are read in the background."""
    while httpx.get(f"{url}easel/library/lora?limit=1", timeout=60).json()["unread"]:
        time.sleep(0.2)


def measure_page(page: Page, files: int) -> list[float]:
    """Open the tab, once more, search and scroll; zeros where there are no files."""
    if not files:
        return [0.0] * 4
    in_sight = f"document.querySelector('{FIRST_CARD}')?.checkVisibility()"
    opened = seconds_until(page, "document.querySelector('#txt2img_lora_tab').click()", in_sight)
    page.evaluate("document.querySelector('#txt2img_generation_tab').click()")
    page.reload()
    page.wait_for_function("window.easel?.form.restored", timeout=ACTS_MS)
    again = seconds_until(page, "document.querySelector('#txt2img_lora_tab').click()", in_sight)
    search = """() => { const box = document.querySelector('.easel-library input[type=search]');
        box.value = 'alias_%d'; box.dispatchEvent(new Event('input')) }"""
    wait_until_read(page.url)
    one = "document.querySelectorAll('.easel-model-name').length === 1"
    found = seconds_until(page, search % (files - 1), one)
    page.evaluate(search.replace("alias_%d", ""))
    page.wait_for_function("document.querySelectorAll('.easel-model-name').length > 5", timeout=ACTS_MS)
    scroll = "document.querySelector('.easel-models').scrollTop = 1e9"
    last = f"[...document.querySelectorAll('{FIRST_CARD}')].some(e => e.textContent === 'lora {files - 1:05}')"
    page.evaluate("document.querySelector('.easel-library select').value = 'name'")
    page.evaluate("document.querySelector('.easel-library select').dispatchEvent(new Event('change'))")
    page.wait_for_function(
        "[...document.querySelectorAll('.easel-model-name')].some(e => e.textContent === 'lora 00000')", timeout=ACTS_MS
    )
    return [opened, again, found, seconds_until(page, scroll, last)]


def measure_once(browser: Browser, folder: str, files: int) -> list[float]:
    """Start one server on a data folder and use its page in a fresh browser profile."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    page = context.new_page()
    begun = time.perf_counter()
    with server_process(folder, port) as process:
        wait_for_answer(url, process)
        answered = time.perf_counter() - begun
        interactive = seconds_to_interactive(page, url)
        acts = measure_page(page, files)
        context.close()
    return [answered, interactive, *acts]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", "--runs", type=int, default=3)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--chromium", default=find_chromium())
    flags = parser.parse_args()
    if flags.chromium is None:
        print("No Chromium was found; name one with --chromium or EASEL_CHROMIUM.")
        return 1
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = playwright.chromium.launch(executable_path=flags.chromium, args=CHROMIUM_ARGUMENTS)
        make_files(Path(folder) / "full" / "models" / "Lora", flags.files)
        (Path(folder) / "empty").mkdir()
        first = measure_once(browser, f"{folder}/full", flags.files)
        without, full = [], []
        for _ in range(flags.runs):
            without.append(measure_once(browser, f"{folder}/empty", 0))
            full.append(measure_once(browser, f"{folder}/full", flags.files))
        browser.close()
    print(f"{flags.files:,} files, {flags.runs} runs, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    print(f"{'seconds, medians':44} {'without':>8} {'with':>8} {'first':>8} {'aim':>6}")
    rows = zip(MEASURES.items(), zip(*without, strict=True), zip(*full, strict=True), first, strict=True)
    for (name, aim), bare, filled, at_first in rows:
        aimed = "" if aim is None else f"{aim:.1f}"
        median = statistics.median(bare)
        print(f"{name:44} {median:8.2f} {statistics.median(filled):8.2f} {at_first:8.2f} {aimed:>6}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
