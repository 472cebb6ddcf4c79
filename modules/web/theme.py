"""The page's Gradio theme: system fonts only, so that nothing is ever fetched; colours and shapes are in assets/."""

from __future__ import annotations

import inspect
from typing import Any

import gradio as gr

TEXT_FONTS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
CODE_FONTS = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")


def make_theme() -> Any:
    """Return the theme, its colours taken from the custom properties of assets/palette.css."""
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        secondary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        text_size=gr.themes.sizes.text_md,
        spacing_size=gr.themes.sizes.spacing_md,
        radius_size=gr.themes.sizes.radius_md,
        font=TEXT_FONTS,
        font_mono=CODE_FONTS,
    )
    known = inspect.signature(theme.set).parameters
    # The dark scheme gets the same values, since the custom properties that they name change with the scheme.
    dark = {f"{name}_dark": value for name, value in _COLOURS.items() if f"{name}_dark" in known}
    return theme.set(**_COLOURS, **dark, **_SHAPES)


_COLOURS = {
    "body_background_fill": "var(--easel-page)",
    "body_text_color": "var(--easel-ink)",
    "body_text_color_subdued": "var(--easel-ink-soft)",
    "background_fill_primary": "var(--easel-surface)",
    "background_fill_secondary": "var(--easel-sunken)",
    "border_color_primary": "var(--easel-line)",
    "border_color_accent": "var(--easel-accent)",
    "color_accent": "var(--easel-accent)",
    "color_accent_soft": "var(--easel-accent-soft)",
    "block_background_fill": "var(--easel-surface)",
    "block_border_color": "var(--easel-line)",
    "block_label_background_fill": "transparent",
    "block_label_text_color": "var(--easel-ink-soft)",
    "block_title_text_color": "var(--easel-ink-soft)",
    "block_info_text_color": "var(--easel-ink-soft)",
    "input_background_fill": "var(--easel-field)",
    "input_background_fill_focus": "var(--easel-field)",
    "input_border_color": "var(--easel-line)",
    "input_border_color_focus": "var(--easel-accent)",
    "input_placeholder_color": "var(--easel-ink-faint)",
    "slider_color": "var(--easel-accent)",
    "button_primary_background_fill": "var(--easel-accent-fill)",
    "button_primary_background_fill_hover": "var(--easel-accent-fill-hover)",
    "button_primary_border_color": "transparent",
    "button_primary_border_color_hover": "transparent",
    "button_primary_text_color": "white",
    "button_secondary_background_fill": "var(--easel-raised)",
    "button_secondary_background_fill_hover": "var(--easel-raised-hover)",
    "button_secondary_border_color": "var(--easel-line)",
    "button_secondary_border_color_hover": "var(--easel-line)",
    "button_secondary_text_color": "var(--easel-ink)",
    "panel_background_fill": "transparent",
    "panel_border_color": "transparent",
    "shadow_drop": "none",
    "shadow_drop_lg": "none",
}
_SHAPES = {
    "block_border_width": "1px",
    "block_shadow": "none",
    "block_radius": "10px",
    "container_radius": "10px",
    "input_radius": "8px",
    "input_border_width": "1px",
    "input_shadow": "none",
    "input_shadow_focus": "0 0 0 3px var(--easel-accent-soft)",
    "block_title_text_weight": "500",
    "block_label_text_weight": "500",
    "button_large_text_weight": "600",
    "button_large_radius": "10px",
    "button_small_radius": "8px",
    "button_primary_shadow": "none",
    "button_secondary_shadow": "none",
    "layout_gap": "12px",
    "block_padding": "10px 12px",
}
