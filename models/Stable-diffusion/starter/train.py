"""Trains, exports and measures the starter model. README.md beside this file says what it is."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

import torch
from training import workshop
from training.exporting import component_configs, read_parts, write_single_file
from training.folder import Model
from training.ldm_keys import single_file_tensors
from training.loop import Plan
from training.report import Grid, measure, show
from training.subjects import subjects
from training.workshop import Bench, Effort

HERE = Path(__file__).resolve().parent
LOG = logging.getLogger("starter")
# Samples of each stage, and the batch size per process on a CPU and on a GPU.
SAMPLES = {"vae": 24_000, "decoder": 24_000, "text": 60_000, "unet": 250_000}
BATCHES = {"vae": (8, 32), "decoder": (8, 32), "text": (32, 128), "unet": (8, 128)}
RATES = {"vae": (4e-3, 2e-3), "decoder": (2e-3, 1e-3), "text": (8e-3, 8e-3), "unet": (2.5e-3, 5e-4)}
TRAINERS = {
    "vae": workshop.train_vae,
    "decoder": workshop.train_decoder,
    "text": workshop.train_text,
    "unet": workshop.train_unet,
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    for name in ("all", *TRAINERS, "export", "evaluate"):
        command = commands.add_parser(name)
        _add_common(command)
        if name in ("all", *TRAINERS):
            _add_training(command)
        if name in ("all", "export"):
            command.add_argument("--out", type=Path, help="diffusers folder to write (default: WORK/model)")
            command.add_argument("--single-file", type=Path, help="also write SD 1.x's original layout to this file")
        if name in ("all", "evaluate"):
            command.add_argument("--json", type=Path, help="write the figures there")
            command.add_argument("--grid", type=Path, help="write the drawn pictures there, as one PNG")
            command.add_argument("--quick", action="store_true", help="only prompts at CFG 5")
            command.add_argument("--showcase", type=Path, help="write the model card's pictures there, as one PNG")
        if name == "evaluate":
            command.add_argument("--model", type=Path, default=HERE, help="diffusers folder to measure (default: this)")
    return top


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--work", type=Path, default=Path("starter-training"), help="where the states are kept")
    command.add_argument("--tokenizer", type=Path, default=HERE / "tokenizer", help="CLIP's tokenizer files")
    command.add_argument("--subjects", choices=("shipped", "all"), default="shipped", help="what to draw")
    command.add_argument("--init", type=Path, help="an exported folder to start from instead of random weights")
    command.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    command.add_argument("--threads", type=int, help="threads per process (default: torch's)")


def _add_training(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--samples", type=int, help="samples to train on in all; a longer run may continue a shorter one"
    )
    command.add_argument("--decay", type=float, default=0.4, help="the last part over which the rate falls, 0..1")
    command.add_argument("--batch-size", type=int, help="samples per step and process")
    command.add_argument("--processes", type=int, default=1, help="processes that train together (CPU)")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--save-seconds", type=float, default=120.0, help="how often the state is saved")
    command.add_argument("--practise", type=Path, help="figures of evaluate --json: what is wrong there comes oftener")


def bench_of(options: argparse.Namespace) -> Bench:
    """Where and with what the command works."""
    return Bench(
        work=options.work,
        tokenizer=options.tokenizer,
        init=options.init,
        chosen=subjects(options.subjects),
        device=options.device,
        processes=getattr(options, "processes", 1),
        seed=getattr(options, "seed", 0),
        save_seconds=getattr(options, "save_seconds", 120.0),
        practise=getattr(options, "practise", None),
    )


def effort_of(stage: str, options: argparse.Namespace) -> Effort:
    """A stage's plan: the defaults, and what the command line changes."""
    samples = options.samples if options.samples and options.command == stage else SAMPLES[stage]
    muon_rate, adam_rate = RATES[stage]
    plan = Plan(samples, options.decay, muon_rate=muon_rate, adam_rate=adam_rate, seed=options.seed)
    return Effort(plan, options.batch_size or BATCHES[stage][options.device.startswith("cuda")])


def train(stages: list[str], options: argparse.Namespace) -> None:
    """Run the stages in turn; each goes on from its state."""
    bench = bench_of(options)
    bench.work.mkdir(parents=True, exist_ok=True)
    for stage in stages:
        TRAINERS[stage](bench, effort_of(stage, options))


def export(options: argparse.Namespace) -> Path:
    """Write the folder, and the single file where one is asked for."""
    bench = bench_of(options)
    folder = options.out or bench.work / "model"
    workshop.export(bench, folder)
    if options.single_file:
        parts = read_parts(folder)
        unet, vae, text = (network.half().state_dict() for network in (parts.unet, parts.vae, parts.text))
        write_single_file(single_file_tensors(unet, vae, text), component_configs(folder), options.single_file)
    return folder


def evaluate(folder: Path, options: argparse.Namespace) -> None:
    """Print the figures of a folder."""
    grid = Grid(options.grid) if options.grid else None
    if options.showcase:
        show(Model.load(folder, torch.device(options.device)), options.showcase)
    figures = measure(folder, subjects(options.subjects), torch.device(options.device), options.quick, grid)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Do what the command line says."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    options = parser().parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.command in TRAINERS:
        train([options.command], options)
    elif options.command == "export":
        export(options)
    elif options.command == "evaluate":
        evaluate(options.model, options)
    else:
        train(["decoder", "unet"] if options.init else list(TRAINERS), options)
        evaluate(export(options), options)


if __name__ == "__main__":
    main(sys.argv[1:])
