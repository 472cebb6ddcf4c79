"""LoRA and textual inversion as data: read from files, applied to a model and undone."""
