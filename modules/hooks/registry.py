"""The plugins that there are, in which order they are called, and what happens when one fails.

`docs/decisions/007-own-hook-registry.md` says why this is not built on pluggy.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from modules.core.errors import EaselError, PluginFailed
from modules.core.extras import FrozenMapping, PluginValues
from modules.core.request import ChoiceLists, GenerationRequest
from modules.core.result import GenerationResult
from modules.hooks.job_hooks import FinishedJob, expand_request, finish_job
from modules.hooks.plugins import Expansion, PluginDescription, PluginList
from modules.hooks.spec import (
    HOOKS,
    BatchStart,
    ChosenNetworks,
    Decoded,
    Described,
    Enlarging,
    ExtraNoise,
    Generation,
    Guided,
    MaskBlend,
    ModelAtWork,
    ModelInput,
    NetworkCall,
    NetworkInput,
    NetworkOutput,
    Overlay,
    PassPrompts,
    PassStart,
    Picture,
    RunListener,
    Sampled,
    Sampling,
    Step,
    StepStart,
)

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor  # As in spec.py: the page must not wait for torch.

logger = logging.getLogger(__name__)

Context = TypeVar("Context")
Given = TypeVar("Given")
Answer = TypeVar("Answer")
Wrapper = Callable[[Given, Callable[[Given], Answer]], Answer]
Say = Callable[[str], None]
_FAILED = "The plugin %s failed in %s."
PREFIXES = ("around_", "before_", "after_", "on_")
"""With one of these begins the name of every hook."""


@dataclass(frozen=True, slots=True)
class RunStart:
    """What a plugin is told when a run begins: the request, its own values in it, and how to speak to the user."""

    request: GenerationRequest
    values: PluginValues
    say: Say


class Plugin(Protocol):
    """What can be registered. It may also be an `Expander` and a `JobFinisher` (see `job_hooks.py`)."""

    @property
    def description(self) -> PluginDescription:
        """What the plugin is called and asked for."""

    def listen(self, run: RunStart) -> RunListener:
        """Return what takes part in a run that has just begun."""


class Guest:
    """A plugin in one run. Once it has failed it takes no further part; a chosen script that fails ends the run."""

    def __init__(self, plugin: PluginDescription, say: Say, strict: bool) -> None:
        """Let every error through if `strict`, as tests want it."""
        self.plugin = plugin
        self.failed = False
        self._say = say
        self._strict = strict

    def fail(self, error: Exception) -> None:
        """Take no further part because of `error`, and tell the user. Raises it, or PluginFailed, where it must."""
        self.failed = True
        if self._strict:
            raise error
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if self.plugin.place == "script":
            raise PluginFailed(f"The script {self.plugin.title} failed: {reason}.") from error
        self._say(f"{self.plugin.title} failed and takes no further part in this run: {reason}.")


class Moment(Generic[Context]):
    """One hook of kind notify or edit in one run. True when anybody takes part, so that a context need not be made."""

    __slots__ = ("_calls", "_name")

    def __init__(self, name: str, calls: Sequence[tuple[Guest, Callable[[Context], None]]] = ()) -> None:
        """Take who is called, in this order."""
        self._name = name
        self._calls = tuple(calls)

    def __bool__(self) -> bool:
        return bool(self._calls)

    def __call__(self, context: Context) -> None:
        """Hand the context to everybody. What Easel raises on purpose comes through, such as an interruption."""
        for guest, call in self._calls:
            if guest.failed:
                continue
            try:
                call(context)
            except EaselError:
                raise
            except Exception as error:  # One of the three borders: no plugin may end a run.
                logger.exception(_FAILED, guest.plugin.name, self._name)
                guest.fail(error)


class Around(Generic[Given, Answer]):
    """One hook of kind wrap in one run. True when anybody takes part."""

    __slots__ = ("_calls", "_name")

    def __init__(self, name: str, calls: Sequence[tuple[Guest, Wrapper[Given, Answer]]] = ()) -> None:
        """Take who is called, the first outermost."""
        self._name = name
        self._calls = tuple(calls)

    def __bool__(self) -> bool:
        return bool(self._calls)

    def __call__(self, given: Given, innermost: Callable[[Given], Answer]) -> Answer:
        """Call the wrappers around `innermost`."""
        for guest, wrapper in reversed(self._calls):
            innermost = _wrapped(self._name, guest, wrapper, innermost)
        return innermost(given)


class RunHooks:
    """Every moment of one run, with those who take part in it."""

    def __init__(self, guests: Sequence[tuple[Guest, RunListener]] = ()) -> None:
        """Take the run's listeners in their order."""
        self._guests = tuple(guests)
        self.around_generate: Around[Generation, GenerationResult] = self._around("around_generate")
        self.before_batch: Moment[BatchStart] = self._moment("before_batch")
        self.on_model: Moment[ModelAtWork] = self._moment("on_model")
        self.on_networks: Moment[ChosenNetworks] = self._moment("on_networks")
        self.on_prompts: Moment[PassPrompts] = self._moment("on_prompts")
        self.before_pass: Moment[PassStart] = self._moment("before_pass")
        self.on_extra_noise: Moment[ExtraNoise] = self._moment("on_extra_noise")
        self.around_sampling: Around[Sampling, Tensor] = self._around("around_sampling")
        self.before_step: Moment[StepStart] = self._moment("before_step")
        self.before_model: Moment[ModelInput] = self._moment("before_model")
        self.before_network: Moment[NetworkInput] = self._moment("before_network")
        self.around_network: Around[NetworkCall, Tensor] = self._around("around_network")
        self.after_network: Moment[NetworkOutput] = self._moment("after_network")
        self.on_guidance: Moment[Guided] = self._moment("on_guidance")
        self.on_mask_blend: Moment[MaskBlend] = self._moment("on_mask_blend")
        self.after_step: Moment[Step] = self._moment("after_step")
        self.around_upscale: Around[Enlarging, Image] = self._around("around_upscale")
        self.after_sampling: Moment[Sampled] = self._moment("after_sampling")
        self.on_decoded: Moment[Decoded] = self._moment("on_decoded")
        self.on_overlay: Moment[Overlay] = self._moment("on_overlay")
        self.on_infotext: Moment[Described] = self._moment("on_infotext")
        self.on_picture: Moment[Picture] = self._moment("on_picture")

    def _moment(self, name: str) -> Moment[Any]:
        return Moment(name, list(self._overriding(name)))

    def _around(self, name: str) -> Around[Any, Any]:
        return Around(name, list(self._overriding(name)))

    def _overriding(self, name: str) -> Iterator[tuple[Guest, Callable[..., Any]]]:
        for guest, listener in self._guests:
            if getattr(type(listener), name) is not getattr(RunListener, name):
                yield guest, getattr(listener, name)


class HookRegistry:
    """Keeps the plugins. Adding and removing is safe while a run goes on, which keeps those that it began with."""

    def __init__(self, plugins: Iterable[Plugin] = (), strict: bool = False) -> None:
        """Let errors of plugins through if `strict`. Raises PluginFailed for two of the same id."""
        self._strict = strict
        self._preferred: tuple[str, ...] = ()
        self._plugins: tuple[Plugin, ...] = ()
        for plugin in plugins:
            self.add(plugin)

    @property
    def plugins(self) -> PluginList:
        """The plugins as forms and requests know them; always what is there now."""
        return PluginList(self.descriptions, self.expand)

    def descriptions(self) -> tuple[PluginDescription, ...]:
        """Return all descriptions in the order in which the plugins are called."""
        return tuple(plugin.description for plugin in self._plugins)

    def plugin(self, name: str) -> Plugin | None:
        """Return the plugin of an id."""
        return next((plugin for plugin in self._plugins if plugin.description.name == name), None)

    def add(self, plugin: Plugin) -> None:
        """Take a plugin in. Raises PluginFailed when there is one of its id."""
        new = plugin.description
        for old in self.descriptions():
            if old.name == new.name:
                raise PluginFailed(f"{new.title} cannot be added: {old.title} has the same id {old.name}.")
        self._plugins = self._ordered([*self._plugins, plugin])

    def remove(self, name: str) -> None:
        """Let a plugin go; nothing happens when there is none of that id."""
        self._plugins = tuple(plugin for plugin in self._plugins if plugin.description.name != name)

    def arrange(self, names: Sequence[str]) -> None:
        """Call plugins in the order of these ids, as far as their own wishes allow; the others follow."""
        self._preferred = tuple(names)
        self._plugins = self._ordered(self._plugins)

    def expand(self, request: GenerationRequest, lists: ChoiceLists) -> Expansion | None:
        """Return what a plugin makes of a request before it becomes a job. Raises InvalidRequest, PluginFailed."""
        return expand_request(self._plugins, request, lists)

    def after_job(self, name: str, job: FinishedJob) -> None:
        """Have the plugin that expanded a job's request add its pictures. Raises PluginFailed."""
        finish_job(self._plugins, name, job)

    def listen(self, request: GenerationRequest, say: Say) -> RunHooks:
        """Return the moments of a run that begins. `say` tells the user something."""
        guests: list[tuple[Guest, RunListener]] = []
        for plugin in self._plugins:
            described = plugin.description
            if described.place != "none" and described.name not in request.extras:
                continue
            guest = Guest(described, say, self._strict)
            start = RunStart(request, described.checked(request.extras.get(described.name, FrozenMapping())), say)
            try:
                listener = plugin.listen(start)
                _refuse_unknown(listener)
                guests.append((guest, listener))
            except _NoSuchHook as error:
                guest.fail(error)
            except EaselError:
                raise
            except Exception as error:  # The same border as that of the moments.
                logger.exception(_FAILED, described.name, "listen")
                guest.fail(error)
        known = {described.name for described in self.descriptions()}
        for name in request.extras:
            if name not in known:
                say(f"There is no plugin {name} here; what was asked of it has no effect.")
        return RunHooks(guests)

    def _ordered(self, plugins: Iterable[Plugin]) -> tuple[Plugin, ...]:
        """Return the plugins in the preferred order, moved only as their own wishes demand."""
        rank = {name: place for place, name in enumerate(self._preferred)}
        waiting = sorted(plugins, key=lambda plugin: rank.get(plugin.description.name, len(rank)))
        earlier = _earlier([plugin.description for plugin in waiting])
        ordered: list[Plugin] = []
        while waiting:
            names = {plugin.description.name for plugin in waiting}
            free = next((each for each in waiting if not names & earlier[each.description.name]), None)
            if free is None:
                logger.warning("The plugins %s want to come before each other.", ", ".join(sorted(names)))
                free = waiting[0]
            waiting.remove(free)
            ordered.append(free)
        return tuple(ordered)


def silent() -> Moment[Any]:
    """Return a moment in which nobody takes part."""
    return Moment("silent")


def _earlier(descriptions: Sequence[PluginDescription]) -> dict[str, set[str]]:
    """Return for every id which ids are to come before it."""
    earlier = {each.name: set(each.after) for each in descriptions}
    for each in descriptions:
        for name in each.before:
            if name in earlier:
                earlier[name].add(each.name)
    return {name: names - {name} for name, names in earlier.items()}


class _NoSuchHook(PluginFailed):
    """A listener has a method that looks like a moment and is none."""


def _refuse_unknown(listener: RunListener) -> None:
    for name in vars(type(listener)):
        if name.startswith(PREFIXES) and name not in HOOKS:
            raise _NoSuchHook(f"{type(listener).__name__}.{name}: there is no hook of that name.")


def _wrapped(
    name: str, guest: Guest, wrapper: Wrapper[Given, Answer], inner: Callable[[Given], Answer]
) -> Callable[[Given], Answer]:
    """Return a wrapper as the next thing to call. When it fails, what it went on with counts, or the run without it."""

    def call(given: Given) -> Answer:
        if guest.failed:
            return inner(given)
        results: list[Answer] = []
        raised: list[BaseException] = []

        def call_next(changed: Given) -> Answer:
            try:
                results.append(inner(changed))
            except BaseException as error:
                raised.append(error)
                raise
            return results[-1]

        try:
            return wrapper(given, call_next)
        except EaselError:
            raise
        except Exception as error:  # The same border as that of the moments.
            if error in raised:
                raise
            logger.exception(_FAILED, guest.plugin.name, name)
            guest.fail(error)
            return results[-1] if results else inner(given)

    return call
