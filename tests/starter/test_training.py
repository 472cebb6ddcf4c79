"""A few steps of every stage, killed and not."""

import pickle
from pathlib import Path

import pytest
import torch
from training.loop import Plan, Run, Upkeep, load_state, save_atomically
from training.parallel import Workers
from training.workshop import Bench, Effort, train_decoder, train_text, train_unet, train_vae

STAGES = {"vae": train_vae, "decoder": train_decoder, "text": train_text, "unet": train_unet}
BATCH = 2


class KilledError(Exception):
    """Stands for a kill."""


def effort(steps: int) -> Effort:
    return Effort(Plan(samples=steps * BATCH, warmup=2), BATCH)


def train(bench: Bench, stage: str, steps: int) -> dict[str, torch.Tensor]:
    STAGES[stage](bench, effort(steps))
    state = load_state(bench.state(stage))
    return state["weights"] | {f"average {name}": value for name, value in state["average"].items()}


def kill_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def dying_run(run: Run, stage: object, plan: Plan, upkeep: Upkeep, workers: Workers) -> None:
        def die(done: int) -> None:
            if done == step:
                raise KilledError

        original(run, stage, plan, Upkeep(upkeep.state, upkeep.save_seconds, after_step=die), workers)

    original = Run.__init__
    monkeypatch.setattr(Run, "__init__", dying_run)


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_run_goes_on_to_the_same_result_as_an_uninterrupted_one(
    stage: str, bench_with_latents: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = bench_with_latents
    uninterrupted = train(bench, stage, 2)
    bench.state(stage).unlink()
    with monkeypatch.context() as patch:
        kill_after(1, patch)
        with pytest.raises(KilledError):
            train(bench, stage, 2)
    assert load_state(bench.state(stage))["step"] == 1
    resumed = train(bench, stage, 2)
    assert uninterrupted.keys() == resumed.keys()
    assert [name for name in resumed if not torch.equal(resumed[name], uninterrupted[name])] == []


def test_no_half_written_file_stays_behind(trained_once: Path) -> None:
    names = sorted(path.name for path in trained_once.iterdir())
    assert names == ["autoencoder", "latents.pt", "model", "unet.pt", "vae.pt"]


def test_a_write_that_fails_leaves_the_old_state(tmp_path: Path) -> None:
    file = tmp_path / "state.pt"
    save_atomically({"step": 1}, file)
    with pytest.raises((AttributeError, TypeError, RuntimeError, pickle.PicklingError)):
        save_atomically({"step": lambda: 2}, file)
    assert load_state(file) == {"step": 1}


def test_a_finished_stage_stays_finished(bench_with_latents: Bench) -> None:
    train(bench_with_latents, "text", 1)
    train(bench_with_latents, "text", 1)
    assert load_state(bench_with_latents.state("text"))["step"] == 1


def test_without_an_autoencoder_the_missing_stage_is_named(bench: Bench) -> None:
    with pytest.raises(FileNotFoundError, match="run the vae stage first"):
        train_unet(bench, effort(1))


def test_the_learning_rate_rises_stays_and_falls() -> None:
    plan = Plan(samples=1000, decay=0.5, warmup=10)
    rates = [plan.rate(seen, step) for seen, step in ((0, 0), (100, 9), (500, 50), (750, 75), (999, 99))]
    assert rates == pytest.approx([0.1, 1, 1, 0.5, 0.01])


def test_work_is_shared_out_evenly() -> None:
    workers = Workers(0, 2)
    sizes = [5, 1, 4, 2, 2]
    owners = workers.share_out(sizes)
    loads = [sum(size for size, owner in zip(sizes, owners, strict=True) if owner == rank) for rank in range(2)]
    assert loads == [7, 7]
