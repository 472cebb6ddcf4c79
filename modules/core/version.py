"""Which Easel this is."""

from __future__ import annotations

VERSION = "0.1.0"
VERSION_PREFIX = "easel-"
VERSION_TEXT = VERSION_PREFIX + VERSION
"""As infotexts have it. Not of the form "v1.2.3", which readers of infotexts take for a version of A1111."""
