"""Uses a name of A1111's that Easel does not have, while it is imported."""

from modules.deepbooru import DeepDanbooru

DeepDanbooru().start()
