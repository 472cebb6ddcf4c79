"""What a hook costs: `python tests/bench/hooks.py`. The aim is under 2 microseconds for one that nobody uses."""

from __future__ import annotations

import sys
import timeit
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from modules.builtin import builtin_plugins
from modules.core.request import GenerationRequest
from modules.hooks.plugins import PluginDescription
from modules.hooks.registry import HookRegistry, RunStart
from modules.hooks.spec import ModelInput, RunListener

TIMES = 200_000


class Listener(RunListener):
    def before_model(self, shown: ModelInput) -> None:
        pass


class Plugin:
    description = PluginDescription("bench", "Bench")

    def listen(self, run: RunStart) -> RunListener:
        return Listener()


def microseconds(statement: str, **names: object) -> float:
    return min(timeit.repeat(statement, globals=names, number=TIMES, repeat=5)) / TIMES * 1e6


def main() -> None:
    request = GenerationRequest()
    latents, sigma = torch.zeros(1, 4, 8, 8), torch.zeros(1)
    idle = HookRegistry(builtin_plugins())
    busy = HookRegistry([Plugin()])
    guarded = "if hooks.before_model:\n    hooks.before_model(ModelInput(latents, sigma, 0))"
    names = {"ModelInput": ModelInput, "latents": latents, "sigma": sigma}
    nobody, one = idle.listen(request, print), busy.listen(request, print)
    print(f"nobody listens, as the loop asks: {microseconds(guarded, hooks=nobody, **names):.3f} microseconds")
    print(f"nobody listens, called:           {microseconds('call(None)', call=nobody.before_model):.3f} microseconds")
    print(f"one plugin listens:               {microseconds(guarded, hooks=one, **names):.3f} microseconds")
    begin = min(timeit.repeat(lambda: idle.listen(request, print), number=1000, repeat=5)) / 1000 * 1e6
    print(f"a run begins:                     {begin:.1f} microseconds")


if __name__ == "__main__":
    main()
