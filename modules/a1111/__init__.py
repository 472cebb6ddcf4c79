"""A1111's extension API: one thin file per module of its, over the services that `_host.py` holds.

Every name that A1111 1.10.1 defines can be imported (names.json). One that Easel does not have is a placeholder, which
raises an error that names itself when it is used. A file here gives the names that act; `_names.py` fills in the rest.
"""

from __future__ import annotations

import sys

from modules.a1111._names import KnownModules

sys.meta_path.insert(0, KnownModules())
