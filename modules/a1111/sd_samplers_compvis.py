"""A module that A1111 had before version 1.6, for extensions that still import its one class."""

from __future__ import annotations

from modules.a1111._placeholders import placeholder

VanillaStableDiffusionSampler = placeholder("modules.sd_samplers_compvis", "VanillaStableDiffusionSampler")
