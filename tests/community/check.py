"""Runs extensions against a fresh server each: `python tests/community/check.py DIR… [--json FILE] [--packages DIR…]`.

Run by hand. For each extension: its setup without network, loading, the page in Chromium, txt2img and img2img with its
controls at their defaults and switched on, its own addresses, its scenario (scenarios.py), and switched off again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.community.page import Watched, chromium, picture
from tests.community.scenarios import FLAGS, PREPARATIONS, SCENARIOS
from tests.community.site import HERE, Site, running
from tests.community.steps import renew

SMALL: dict[str, Any] = {"steps": 2, "width": 64, "height": 64}
RECORDED = 300
STAND_INS = HERE / "stand_ins"


@dataclass
class Result:
    """What became of one extension; each part is "" where all is well, else what is wrong.

    `changed`: on which tabs the same seed makes another picture with it switched on.
    """

    name: str
    commit: str = ""
    commit_date: str = ""
    install: str = "not tried"
    load: str = "not tried"
    page: str = "not tried"
    runs: dict[str, str] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    routes: str = "none"
    scenario: str = "none"
    off: str = "not tried"
    seconds: float = 0.0
    interactive: float = 0.0
    console: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="extensions, each in its folder")
    parser.add_argument("--packages", nargs="*", type=Path, default=[], metavar="DIR", help="folders with packages")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the results are written")
    parser.add_argument("--together", action="store_true", help="all on one server, switched on by scenarios alone")
    parser.add_argument("--skip-setup", action="store_true", help="do not run requirements.txt and install.py")
    parser.add_argument("--quick", action="store_true", help="only load them and play their scenarios")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the data folders here")
    flags = parser.parse_args(arguments)
    results = []
    packages = [path.resolve() for path in flags.packages]
    folders = [path.resolve() for path in flags.folders]
    with chromium() as browser:
        for group in [folders] if flags.together else [[folder] for folder in folders]:
            with _folder(flags.keep, group[0].name) as place:
                own = [flag for folder in group for flag in FLAGS.get(folder.name, ())]
                site = Site(place, group, packages, STAND_INS, own)
                results += _check(site, browser, set_up=not (flags.skip_setup or flags.quick), whole=not flags.quick)
            print(table(results[-len(group) :]), flush=True)
            if flags.json:
                flags.json.write_text(json.dumps([asdict(each) for each in results], indent=1), encoding="utf-8")
    print(f"\n{datetime.now(UTC).date()}\n{table(results)}")
    return 0


@contextlib.contextmanager
def _folder(keep: Path | None, name: str) -> Iterator[Path]:
    if keep is not None:
        place = keep / f"{name}-{int(time.time())}"
        place.mkdir(parents=True)
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="easel-check-", ignore_cleanup_errors=True) as made:
        yield Path(made)


def _check(site: Site, browser: Browser, set_up: bool, whole: bool) -> list[Result]:
    site.copy()
    results = [_described(folder) for folder in site.extensions]
    begun = time.monotonic()
    for result in results:
        PREPARATIONS.get(result.name, _nothing)(site)
        if set_up:
            result.install = site.set_up(result.name)
    try:
        with running(site):
            for result in results:
                result.load = _loaded(site, result)
            _browse(site, results, browser, whole)
            for result in results:
                result.routes = _routes(site, result.name)
                result.report = site.report(result.name)
                result.load = _loaded(site, result)
        if len(results) == 1 and whole:
            results[0].off = _off(site, results[0], browser)
    except Exception as error:  # What breaks the server is a result.
        results[0].load = results[0].load if results[0].load != "not tried" else _told(error)
        results[0].console.append("".join(traceback.format_exception(error))[-2000:])
    for result in results:
        result.seconds = round(time.monotonic() - begun, 1)
    return results


def _described(folder: Path) -> Result:
    """Return an empty result, with the commit of the folder, or of what its file .commit says."""
    note = folder / ".commit"
    if note.is_file():
        commit, _, day = note.read_text(encoding="utf-8").strip().partition(" ")
        return Result(folder.name, commit[:8], day)
    said = subprocess.run(
        ["git", "-C", str(folder), "log", "-1", "--format=%h %cs"], capture_output=True, text=True, check=False
    ).stdout.split()
    return Result(folder.name, said[0], said[1]) if len(said) > 1 else Result(folder.name)


def _loaded(site: Site, result: Result) -> str:
    report = site.report(result.name)
    problems = [f"{each['part']} {each['where']}: {each['reason']}" for each in report["errors"]]
    if report["off_because"]:
        problems.append(report["off_because"])
    return "; ".join(problems)[:1000]


def _browse(site: Site, results: list[Result], browser: Browser, whole: bool) -> None:
    context = browser.new_context(viewport={"width": 1500, "height": 1000}, permissions=["clipboard-read"])
    page = Watched(context.new_page(), site.url)
    try:
        page.open()
        page.wait_extensions()
        page.visit_tabs()
        for result in results:
            result.interactive = round(page.interactive, 2)
            result.page = _problems(page.console, result, results)
        if whole:
            _make(page, site, results)
        for result in results:
            if result.name in SCENARIOS:
                renew(page)
                result.scenario = _tried(lambda name=result.name: SCENARIOS[name](page, site))  # type: ignore[misc]
    except Exception as error:
        results[0].page = f"{_told(error)}; {'; '.join(page.console)}"[:1000]
        page.page.screenshot(path=site.folder / "failed.png")
    finally:
        for result in results:
            own = [each for each in page.console if f"/{result.name}/" in each or len(results) == 1]
            result.console = own[:RECORDED]
        context.close()


def _problems(console: list[str], result: Result, results: list[Result]) -> str:
    """Return what the page complained of: of this extension's, and what names none of them."""
    others = [each.name for each in results if each is not result]
    return "; ".join(each for each in console if not any(f"/{name}/" in each for name in others))[:1000]


def _make(page: Watched, site: Site, results: list[Result]) -> None:
    """Make pictures in both tabs, with the controls as they are and switched on, and with each script chosen."""
    alone = len(results) == 1

    def run(what: str, act: Callable[[], object] = lambda: None) -> None:
        def attempt() -> str:
            act()
            return page.run_job()

        errors = len(page.console)
        said = _tried(attempt)
        for result in results:
            found = filter(None, [said, _problems(page.console[errors:], result, results)])
            result.runs[what] = "; ".join(found)[:600]

    for tab in ("txt2img", "img2img"):
        if tab == "img2img":
            page.img2img()
            chooser = page.page.locator(".easel-canvas[data-name=img2img] input[type=file]").first
            chooser.set_input_files(picture(site.folder))
            page.page.wait_for_timeout(500)
        page.prepare(**SMALL)
        page.fix_seed()
        run(f"{tab} plain")
        plain = page.pixels()
        if alone and page.switch_on():
            run(f"{tab} on")
            if page.pixels() not in (plain, b""):
                results[0].changed.append(tab)
            page.page.reload()
            page.wait_ready()
            page.wait_extensions()
            if tab == "img2img":
                page.img2img()
        for title in page.scripts() if alone else ():
            run(f"{tab} script {title}", lambda title=title: page.choose_script(title))  # type: ignore[misc]
            _tried(lambda: page.choose_script("None") or "")
    page.place = "txt2img"
    page.open_tab("txt2img")


def _routes(site: Site, name: str) -> str:
    """Ask the extension's own addresses that need no more; return which of them answer wrongly."""
    own = [route for route in site.routes() if route["extension"] == name]
    wrong = []
    for route in own:
        if "GET" not in route["methods"] or route["required"] or "{" in route["path"]:
            continue
        try:
            status = httpx.get(f"{site.url}{route['path']}", timeout=30).status_code
        except httpx.HTTPError as error:
            wrong.append(f"{route['path']}: {_told(error)}")
            continue
        if status == 404 or status >= 500:
            wrong.append(f"{route['path']}: {status}")
    return "; ".join(wrong) if own else "none"


def _off(site: Site, result: Result, browser: Browser) -> str:
    """Switch the extension off and look whether the page is as if it were not there."""
    settings = site.folder / "config.json"
    known = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    settings.write_text(json.dumps({**known, "disabled_extensions": [result.name]}), encoding="utf-8")
    with running(site):
        if site.report(result.name)["enabled"]:
            return "it is still on"
        page = Watched(browser.new_context().new_page(), site.url).open()
        page.prepare(**SMALL)
        said = _tried(page.run_job)
        return "; ".join(filter(None, [said, *page.console]))[:600]


def _tried(act: Callable[[], str | None]) -> str:
    try:
        return act() or ""
    except Exception as error:
        return _told(error)


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"


def _nothing(_: Site) -> None:
    pass


def table(results: list[Result]) -> str:
    """Return the results as a table in Markdown."""
    lines = ["| extension | commit | install | loads | page | runs | changes | routes | scenario | off |"]
    lines.append("|" + " --- |" * 10)
    for each in results:
        runs = "; ".join(f"{what}: {said}" for what, said in each.runs.items() if said)
        made = runs or ("not tried" if not each.runs else "")
        before, after = (each.install, each.load, each.page, made), (each.routes, each.scenario, each.off)
        changes = ", ".join(each.changed) or "-"
        said = [*(_answer(cell) for cell in before), changes, *(_answer(cell) for cell in after)]
        shown = (f"{each.commit} {each.commit_date}", *said)
        lines.append("| " + " | ".join((each.name, *shown)) + " |")
    return "\n".join(lines)


def _answer(text: str) -> str:
    """Return "yes", or in short what is wrong."""
    if not text:
        return "yes"
    return text.replace("|", "/").replace("\n", " ")[:300]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
