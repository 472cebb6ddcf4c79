"""A1111's modules.styles: prompt styles, over Easel's own book of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from modules.a1111._host import HOST
from modules.prompts.styles import Style, StyleBook, merged


class PromptStyle(NamedTuple):
    """One style."""

    name: str
    prompt: str
    negative_prompt: str
    path: str | None = None


def merge_prompts(style_prompt: str, prompt: str) -> str:
    """Return a prompt with a style's in it."""
    return merged(style_prompt, prompt)


def apply_styles_to_prompt(prompt: str, styles: Iterable[str]) -> str:
    """Return a prompt with the texts of several styles in it."""
    for style in styles:
        prompt = merged(style, prompt)
    return prompt


class StyleDatabase:
    """`prompt_styles`: Easel's styles under A1111's names."""

    no_style = PromptStyle("None", "", "", None)

    def __init__(self, paths: object = None) -> None:
        self.paths = paths

    @property
    def _book(self) -> StyleBook:
        return HOST.connected.styles

    @property
    def styles(self) -> Mapping[str, PromptStyle]:
        """All styles by their names."""
        every = self._book.styles()
        return {style.name: PromptStyle(style.name, style.prompt, style.negative_prompt) for style in every}

    def reload(self) -> None:
        """Do nothing: the book sees by itself when its files change."""

    def get_style_prompts(self, styles: Iterable[str]) -> list[str]:
        """Return the prompts of styles; "" for unknown ones."""
        known = self.styles
        return [known.get(name, self.no_style).prompt for name in styles]

    def get_negative_style_prompts(self, styles: Iterable[str]) -> list[str]:
        """Return the negative prompts of styles; "" for unknown ones."""
        known = self.styles
        return [known.get(name, self.no_style).negative_prompt for name in styles]

    def apply_styles_to_prompt(self, prompt: str, styles: Iterable[str]) -> str:
        """Return a prompt with styles in it."""
        return apply_styles_to_prompt(prompt, self.get_style_prompts(styles))

    def apply_negative_styles_to_prompt(self, prompt: str, styles: Iterable[str]) -> str:
        """Return a negative prompt with styles in it."""
        return apply_styles_to_prompt(prompt, self.get_negative_style_prompts(styles))

    def extract_styles_from_prompt(self, prompt: str, negative_prompt: str) -> tuple[list[str], str, str]:
        """Return the styles that are in a prompt, and the prompts without them."""
        names, prompt, negative_prompt = self._book.extract(prompt, negative_prompt)
        return list(names), prompt, negative_prompt

    def save_styles(self, path: str | None = None) -> None:
        """Do nothing: a style is written when it is kept."""

    def add(self, name: str, prompt: str, negative_prompt: str) -> None:
        """Keep a style."""
        self._book.save(Style(name, prompt, negative_prompt))
