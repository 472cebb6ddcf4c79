"""Run as a process of its own: downloads a file as a background task and ends when that has; may be killed meanwhile.

`python tests/jobs/killable_tasks.py FOLDER HUB`
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from modules.jobs.task_file import ENDED_TASKS
from modules.jobs.tasks import TaskBoard
from modules.library.downloads.downloader import DOWNLOAD, Downloader, Wish
from modules.library.downloads.tokens import CIVITAI, HUGGING_FACE
from modules.library.downloads.web_client import WebClient
from tests.fakes import wait_until


def main(folder: Path, hub: str) -> None:
    bases = {HUGGING_FACE: hub, CIVITAI: hub}
    downloader = Downloader(WebClient(allow_private=True), {"checkpoint": folder}, bases=bases)
    board = TaskBoard(folder / "tasks.json")
    board.register(DOWNLOAD, downloader.run, downloader.discard)
    if not board.tasks():
        board.start(DOWNLOAD, *downloader.order(Wish("me/models", kind="checkpoint")))
    board.begin()
    wait_until(lambda: all(task.state in ENDED_TASKS for task in board.tasks()))
    board.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
