"""From an infotext to the form: what each field becomes, which options are overridden, which styles are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modules.core.errors import ModelUnavailable
from modules.core.parameter import FieldError, Value
from modules.core.parameters import PARAMETERS, SAME_CHECKPOINT, SAME_SAMPLER, SAME_SCHEDULER
from modules.core.request import GenerationRequest
from modules.imaging.infotext import infotext_values, unread_pairs
from modules.imaging.parsing import Infotext, parse_infotext
from modules.imaging.versions import compatibility
from modules.sampling import registry
from modules.web.forms import PAGE_FIELDS
from modules.web.network_names import ADDITIONAL_PREFIX, HYPERNETWORK_KEYS, with_present_names
from modules.web.requests import CHECKPOINT_KEY, override_pair
from modules.web.services import WebServices

_KNOWN_ASIDE = frozenset({
    "Model hash", "VAE hash", "Version", "Lora hashes", "TI hashes", "User", "Face restoration", *HYPERNETWORK_KEYS,
})  # fmt: skip
"""Pairs that tell of the picture without being settings of the form."""
_SECOND_PROMPTS = ("hr_prompt", "hr_negative_prompt")
_CHECKPOINT_FIELDS = ("hr_checkpoint", "refiner_checkpoint")


@dataclass(slots=True)
class Pasted:
    """What an infotext becomes on the page.

    `fields`: values of the form by parameter name; `plugins`: by tab the values of its plugins' fields; `styles`: None
    leaves those that are chosen; `notes`: what could not be taken over, in words.
    """

    fields: dict[str, Any]
    override_settings: list[str] = field(default_factory=list)
    styles: list[str] | None = None
    checkpoint: str | None = None
    notes: list[str] = field(default_factory=list)
    plugins: dict[str, dict[str, Any]] = field(default_factory=dict)

    def message(self) -> dict[str, Any]:
        """Return it as the page gets it; seeds as texts, which JavaScript would round."""
        seeds = {name: str(self.fields[name]) for name in ("seed", "subseed") if name in self.fields}
        return {
            "fields": {**self.fields, **seeds},
            "override_settings": self.override_settings,
            "styles": self.styles,
            "checkpoint": self.checkpoint,
            "notes": self.notes,
            "plugins": self.plugins,
        }


class Paster:
    """Reads infotexts for the page."""

    def __init__(self, services: WebServices) -> None:
        self._services = services

    def values(self, infotext: Infotext) -> tuple[dict[str, Value], list[str]]:
        """Return all parameters that an infotext gives, checked and with names that exist now, and what was wrong.

        Old sampler names are split, models are found by hash or name, and the old ways of the version that wrote the
        infotext are turned on if the option says so.
        """
        settings = self._services.settings
        infotext = with_present_names(infotext, self._services.files, str(settings.get("lora_preferred_name")))
        pairs = dict(infotext.pairs)
        if settings.get("auto_backcompat"):
            pairs.update(compatibility(pairs, infotext.prompt))
        raw = infotext_values(Infotext(infotext.prompt, infotext.negative_prompt, pairs))
        notes: list[str] = []
        values: dict[str, Value] = {}
        for name, value in raw.items():
            try:
                values[name] = PARAMETERS[name].parse(value)
            except FieldError as error:
                notes.append(str(error.problem))
        _split_sampler(values, "sampler", "scheduler")
        _split_sampler(values, "hr_sampler", "hr_scheduler")
        self._drop_unknown_names(values, notes)
        self._find_checkpoints(values, pairs, notes)
        return values, notes

    def paste(self, text: str, form_fields: tuple[str, ...]) -> Pasted:
        """Return what the text becomes on a form of those fields; a text without parameters is a prompt alone."""
        return self.paste_infotext(parse_infotext(text), form_fields)

    def paste_infotext(self, infotext: Infotext, form_fields: tuple[str, ...]) -> Pasted:
        """Return the same of an infotext that was taken apart already, such as that of another program's picture."""
        values, notes = self.values(infotext)
        styles = self._take_styles_out(values)
        if not infotext.pairs:
            fields: dict[str, Any] = {name: values[name] for name in ("prompt", "negative_prompt")}
            return Pasted({name: value for name, value in fields.items() if value or name == "prompt"}, styles=styles)
        fields = _with_usual_values(values, form_fields)
        self._leave_out(fields)
        pasted = Pasted(fields, self._overrides(values), styles, notes=notes, plugins=self._plugin_values(infotext))
        self._choose_checkpoint(values, pasted)
        known = self._services.plugins.infotext_keys()
        pasted.notes += [
            f"{key}: {value} has no field here." for key, value in unread_pairs(infotext).items()
            if key not in _KNOWN_ASIDE and key not in known and not key.startswith(ADDITIONAL_PREFIX)
        ]  # fmt: skip
        return pasted

    def _plugin_values(self, infotext: Infotext) -> dict[str, dict[str, Any]]:
        """Return what the infotext asks of the plugins of each tab, as values of their fields."""
        plugins = self._services.plugins
        return {
            tab: dict(plugins.values_of(plugins.extras_of_pairs(infotext.pairs, tab)[0], tab)) for tab in PAGE_FIELDS
        }

    def _overrides(self, values: Mapping[str, Value]) -> list[str]:
        """Return an override setting for every option that is another now than when the picture was made.

        What an infotext does not name had its default then.
        """
        settings = self._services.settings.all()
        pairs = []
        for name, parameter in PARAMETERS.items():
            if parameter.option is None or parameter.infotext is None:
                continue
            then = values.get(name, parameter.default)
            if then != settings[parameter.option]:
                pairs.append(override_pair(name, then))
        return pairs

    def _leave_out(self, fields: dict[str, Any]) -> None:
        """Leave the form's own seed and size where the options say so."""
        if not self._services.settings.get("send_seed"):
            for name in ("seed", "subseed"):
                fields.pop(name, None)
        if not self._services.settings.get("send_size"):
            for name in ("width", "height"):
                fields.pop(name, None)

    def _take_styles_out(self, values: dict[str, Value]) -> list[str] | None:
        """Take known styles out of the prompts as the option says, and return which are to be chosen."""
        rule = self._services.settings.get("infotext_styles")
        if rule == "Ignore":
            return None
        whole = str(values.get("prompt", "")), str(values.get("negative_prompt", ""))
        names, prompt, negative = self._services.styles.extract(*whole)
        values["prompt"], values["negative_prompt"] = prompt, negative
        # Our own infotexts have the styles in a second pass's prompts too, A1111's have not.
        second = tuple(str(values.get(name) or text) for name, text in zip(_SECOND_PROMPTS, whole, strict=True))
        found, *bare = self._services.styles.extract(*second)
        if names and found == names:
            values.update({name: text for name, text in zip(_SECOND_PROMPTS, bare, strict=True) if values.get(name)})
        if rule == "Discard" or (rule == "Apply if any" and not names):
            return None
        return list(names)

    def _choose_checkpoint(self, values: Mapping[str, Value], pasted: Pasted) -> None:
        """Have the picture's checkpoint chosen, unless the option says to leave the model alone."""
        title = values.get("checkpoint")
        if isinstance(title, str) and title and not self._services.settings.get("disable_weights_auto_swap"):
            pasted.checkpoint = title
            pasted.override_settings.append(f"{CHECKPOINT_KEY}: {title}")

    def _find_checkpoints(self, values: dict[str, Value], pairs: Mapping[str, str], notes: list[str]) -> None:
        """Replace the models' names and hashes by the titles that they have here."""
        catalog = self._services.files.checkpoints
        wanted: dict[str, tuple[str, ...]] = {"checkpoint": (str(values.get("checkpoint", "")), pairs.get("Model", ""))}
        wanted |= {name: (str(values[name]),) for name in _CHECKPOINT_FIELDS if name in values}
        for name, candidates in wanted.items():
            titles = [title for candidate in candidates if (title := _title(catalog.find, candidate))]
            if titles:
                values[name] = titles[0]
                continue
            values.pop(name, None)
            if any(candidates) and candidates[0] not in PARAMETERS[name].besides:
                notes.append(f"{PARAMETERS[name].label}: there is no {' or '.join(filter(None, candidates))} here.")

    def _drop_unknown_names(self, values: dict[str, Value], notes: list[str]) -> None:
        for name in list(values):
            parameter = PARAMETERS[name]
            if not isinstance(parameter.choices, str) or parameter.choices == "checkpoints":
                continue
            value = str(values[name])
            if value not in parameter.besides and not self._services.lists.accepts(parameter.choices, value):
                notes.append(f"{parameter.label}: there is no {value} here.")
                del values[name]


def _title(find: Any, name: str) -> str | None:
    if not name:
        return None
    try:
        return str(find(name).title)
    except ModelUnavailable:
        return None


def _split_sampler(values: dict[str, Value], sampler: str, scheduler: str) -> None:
    """Split a sampler's name of before A1111 1.9, such as "DPM++ 2M Karras", and spell names as the lists do."""
    name = values.get(sampler)
    if not isinstance(name, str) or name == SAME_SAMPLER:
        return
    known = registry.find_sampler(name)
    legacy = None if known is not None else registry.split_legacy_name(name)
    if known is not None:
        values[sampler] = known.label
    elif legacy is not None:
        values[sampler] = legacy[0]
        values.setdefault(scheduler, legacy[1])


def _with_usual_values(values: Mapping[str, Value], form_fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the form's fields: those that the infotext gives, and for the others what an absent key means.

    Batch count and batch size are no part of an infotext; they stay as they are.
    """
    usual = GenerationRequest().model_dump()
    absent: dict[str, Any] = {
        name: usual[name]
        for name in form_fields
        if name in usual and name not in ("batch_count", "batch_size", "width", "height", "steps", "sampler", "seed",
                                          "cfg_scale", "denoising_strength")
    }  # fmt: skip
    absent |= {"hr_checkpoint": SAME_CHECKPOINT, "hr_sampler": SAME_SAMPLER, "hr_scheduler": SAME_SCHEDULER}
    return {name: value for name, value in {**absent, **values}.items() if name in form_fields}
