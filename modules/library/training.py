"""What trainers wrote into a network's file, made readable: facts and the tags of the training pictures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

LONGEST_VALUE = 4000
"""Characters of one value; longer ones are cut."""
LONGEST_RAW = 20_000
MOST_TAGS = 500
_TAGS_KEY = "ss_tag_frequency"
_TIME_KEYS = frozenset({"ss_training_started_at", "ss_training_finished_at"})
LABELS: Mapping[str, str] = {
    "modelspec.title": "Title",
    "modelspec.author": "Author",
    "modelspec.description": "Description",
    "modelspec.trigger_phrase": "Trigger phrase",
    "modelspec.license": "License",
    "modelspec.architecture": "Architecture",
    "ss_output_name": "Name given in training",
    "ss_sd_model_name": "Trained on",
    "ss_base_model_version": "Base model",
    "ss_v2": "SD 2.x",
    "ss_resolution": "Resolution",
    "ss_clip_skip": "Clip skip",
    "ss_network_module": "Network",
    "ss_network_dim": "Rank",
    "ss_network_alpha": "Alpha",
    "ss_num_train_images": "Training pictures",
    "ss_num_reg_images": "Regularisation pictures",
    "ss_num_epochs": "Epochs",
    "ss_epoch": "Epoch of this file",
    "ss_steps": "Steps of this file",
    "ss_max_train_steps": "Steps in all",
    "ss_total_batch_size": "Batch size",
    "ss_learning_rate": "Learning rate",
    "ss_unet_lr": "Learning rate, U-Net",
    "ss_text_encoder_lr": "Learning rate, text encoder",
    "ss_optimizer": "Optimizer",
    "ss_lr_scheduler": "Learning rate schedule",
    "ss_mixed_precision": "Precision",
    "ss_noise_offset": "Noise offset",
    "ss_min_snr_gamma": "Min-SNR gamma",
    "ss_seed": "Seed",
    "ss_training_started_at": "Training began",
    "ss_training_finished_at": "Training ended",
    "ss_training_comment": "Comment",
}
"""The metadata keys that people ask for, in the order in which they are shown, and their names."""


def training_facts(metadata: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return label and value of what is known of the training."""
    facts = ((label, _readable(key, metadata.get(key, ""))) for key, label in LABELS.items())
    return [(label, value) for label, value in facts if value]


def tag_counts(metadata: Mapping[str, str]) -> list[tuple[str, int]]:
    """Return the tags of the training pictures with how often each occurred, the most frequent first."""
    try:
        folders = json.loads(metadata.get(_TAGS_KEY, "{}"))
    except ValueError:
        return []
    counts: Counter[str] = Counter()
    for tags in folders.values() if isinstance(folders, dict) else ():
        for tag, count in tags.items() if isinstance(tags, dict) else ():
            if isinstance(count, int) and str(tag).strip():
                counts[str(tag).strip()] += count
    return counts.most_common(MOST_TAGS)


def raw_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return all of it, very long values cut."""
    return {key: _cut(value, LONGEST_RAW) for key, value in sorted(metadata.items())}


def _readable(key: str, value: str) -> str:
    text = value.strip()
    if text in ("", "None", "null", "{}", "[]"):
        return ""
    if key in _TIME_KEYS:
        try:
            return datetime.fromtimestamp(float(text), UTC).strftime("%Y-%m-%d %H:%M")
        except (ValueError, OverflowError, OSError):
            return _cut(text, LONGEST_VALUE)
    return _cut(text, LONGEST_VALUE)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}… ({len(text):,} characters)"
