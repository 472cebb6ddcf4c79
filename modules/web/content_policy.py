"""What the browser lets the page load: what is ours, and what admins let extensions load from websites."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from modules.core.errors import FieldProblem, InvalidRequest

SITES_OPTION = "extension_sites"
MOST_SITES = 100
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
SITE = re.compile(rf"(?:https|wss)://(?:\*\.)?{_LABEL}(?:\.{_LABEL})+(?::[0-9]{{1,5}})?")
"""An origin; a star stands for all names below one. Nothing else may come into the header."""
ALLOWED_SITES = "names such as api.github.com or *.example.org, or https://… without a path"

RULES: Sequence[tuple[str, str]] = (
    ("default-src", "'self'"),
    # Gradio builds functions from the js= texts of its events.
    ("script-src", "'self' 'unsafe-inline' 'unsafe-eval'"),
    ("style-src", "'self' 'unsafe-inline'"),
    ("img-src", "'self' data: blob:"),
    ("media-src", "'self' data: blob:"),
    ("font-src", "'self' data:"),
    ("worker-src", "'self' blob:"),
    ("frame-src", "'self'"),
    ("connect-src", "'self' data: blob:"),
    ("object-src", "'none'"),
    ("base-uri", "'self'"),
    ("form-action", "'self'"),
    ("frame-ancestors", "'self'"),
)
OPENED = frozenset({"style-src", "img-src", "media-src", "font-src", "frame-src", "connect-src"})
"""What may also come from websites; scripts never."""


def content_policy(sites: Sequence[str] = ()) -> str:
    """Return the header's value. Among `sites` only what is an origin counts."""
    more = "".join(f" {site}" for site in sites if SITE.fullmatch(site))
    return "; ".join(f"{name} {allowed}{more if name in OPENED else ''}" for name, allowed in RULES)


def read_sites(texts: Iterable[str]) -> list[str]:
    """Return websites as they are kept, each once. Raises InvalidRequest for what is not the address of one."""
    named = (text.strip().lower().rstrip("/") for text in texts)
    sites = list(dict.fromkeys(name if "://" in name else f"https://{name}" for name in named))
    wrong = [site for site in sites if not SITE.fullmatch(site)]
    if wrong:
        raise InvalidRequest([FieldProblem("sites", "Website", wrong[0], ALLOWED_SITES)])
    if len(sites) > MOST_SITES:
        raise InvalidRequest([FieldProblem("sites", "Websites", str(len(sites)), f"at most {MOST_SITES}")])
    return sites
