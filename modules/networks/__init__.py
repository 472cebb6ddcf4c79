"""LoRA and its kin, hypernetworks and textual inversion: read from files, applied to a model and undone."""
