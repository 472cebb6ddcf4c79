"""The user's options in one JSON file: written whole or not at all, and never thrown away when it is broken."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from modules.core.errors import FieldProblem, InvalidRequest, StorageFailed
from modules.core.files import write_whole
from modules.settings.schema import OPTIONS, Option, OptionError, OptionValue

logger = logging.getLogger(__name__)

Listener = Callable[[Mapping[str, OptionValue]], None]
Renewal = Callable[[bool], Option | None]
"""Returns an option as it is now, and has its choices looked for anew before if it is given True."""


class SettingsStore:
    """The options' current values. Safe to use from several threads.

    Keys in the file that this version does not know are kept as they are: they belong to an extension, to A1111 or
    to a newer version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._listeners: list[Listener] = []
        self._options: dict[str, Option] = dict(OPTIONS)
        self._renewals: dict[str, Renewal] = {}
        self._contents = _read(path)
        self._values = _valid_values(self._contents, path, OPTIONS.values())

    def get(self, key: str) -> Any:
        """Return an option's value; its type is that of the option's default. Raises KeyError for unknown keys."""
        with self._lock:
            return self._values[key]

    def all(self) -> dict[str, OptionValue]:
        """Return all options, in the order of the schema."""
        with self._lock:
            return dict(self._values)

    def options(self) -> Mapping[str, Option]:
        """Return what is known of every option: those of the schema, then those that extensions declared."""
        with self._lock:
            return dict(self._options)

    def declare(self, options: Iterable[Option], renewals: Mapping[str, Renewal] | None = None) -> None:
        """Take in options of extensions, with the values that the file holds for them; those of the schema stay.

        `renewals`: for keys whose choices may change while the server runs.
        """
        with self._lock:
            fresh = [option for option in options if option.key not in OPTIONS]
            held = [option for option in fresh if option.look != "note"]
            self._values.update(_valid_values(self._contents, self._path, held))
            for option in fresh:
                self._options[option.key] = option
                self._renewals.pop(option.key, None)
                if renewals and option.key in renewals:
                    self._renewals[option.key] = renewals[option.key]

    def renew(self, refresh: str = "") -> None:
        """Ask for the choices of now of all options that have others from time to time.

        `refresh`: the key of an option whose extension is to look for them anew. What an extension raises then is
        raised; the other options stay as they are when theirs cannot be had.
        """
        with self._lock:
            renewals = dict(self._renewals)
        for key, renewal in renewals.items():
            option = renewal(key == refresh)
            if option is not None:
                with self._lock:
                    self._options[key] = option

    def contents(self) -> dict[str, object]:
        """Return all that the file holds, also under keys that nobody has declared."""
        with self._lock:
            return dict(self._contents)

    def keep(self, values: Mapping[str, object]) -> None:
        """Write values under keys that nobody has declared, as they are; declared ones are left out.

        Raises StorageFailed, and TypeError or ValueError for what JSON cannot hold.
        """
        # As it will be read again: tuples become lists, and what the caller changes later is not ours.
        plain = json.loads(json.dumps(dict(values)))
        with self._lock:
            fresh = {key: value for key, value in plain.items() if key not in self._options}
            contents = {**self._contents, **fresh}
            if contents != self._contents:
                _write(self._path, contents)
                self._contents = contents

    def update(self, values: Mapping[str, object]) -> dict[str, Any]:
        """Set options and return those that changed; all of them are set or none.

        Raises InvalidRequest naming key, value and what is allowed for each wrong one, and StorageFailed when the
        file cannot be written.
        """
        parsed = _parse_all(values, self.options())
        with self._lock:
            changes = {key: value for key, value in parsed.items() if self._values[key] != value}
            if not changes:
                return {}
            contents = {**self._contents, **changes}
            _write(self._path, contents)
            self._contents = contents
            self._values.update(changes)
            listeners = list(self._listeners)
        for listener in listeners:
            listener(changes)
        return dict(changes)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with the changed options after each change, until the returned function is called."""
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return unsubscribe


def _parse_all(values: Mapping[str, object], options: Mapping[str, Option]) -> dict[str, OptionValue]:
    parsed: dict[str, OptionValue] = {}
    problems: list[FieldProblem] = []
    for key, value in values.items():
        option = options.get(key)
        if option is None or option.look == "note":
            problems.append(FieldProblem(key, key, "an unknown option", "one of " + ", ".join(options)))
            continue
        try:
            parsed[key] = option.parse(value)
        except OptionError as error:
            problems.append(error.problem)
    if problems:
        raise InvalidRequest(problems)
    return parsed


def _valid_values(contents: Mapping[str, object], path: Path, options: Iterable[Option]) -> dict[str, OptionValue]:
    """Return every option's value; one that is not possible (edited by hand) falls back to its default."""
    values: dict[str, OptionValue] = {}
    for option in options:
        try:
            values[option.key] = option.parse(contents.get(option.key, option.default))
        except OptionError as error:
            logger.warning("%s: %s The default %r is used.", path, error, option.default)
            values[option.key] = option.default
    return values


def _read(path: Path) -> dict[str, object]:
    """Return what the file holds; a broken file is moved aside, so that nothing in it is lost."""
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        return _move_aside(path, str(error))
    except OSError as error:
        raise StorageFailed(f"The settings {path} cannot be read: {error.strerror or error}.") from error
    return contents if isinstance(contents, dict) else _move_aside(path, "it is not a JSON object")


def _move_aside(path: Path, reason: str) -> dict[str, object]:
    number = 1
    while (aside := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    with contextlib.suppress(OSError):
        os.replace(path, aside)
    logger.warning("The settings %s cannot be read (%s). They now lie in %s; defaults are used.", path, reason, aside)
    return {}


def _write(path: Path, contents: Mapping[str, object]) -> None:
    try:
        write_whole(path, json.dumps(contents, indent=4, ensure_ascii=False) + "\n")
    except OSError as error:
        raise StorageFailed(f"The settings {path} cannot be written: {error.strerror or error}.") from error
