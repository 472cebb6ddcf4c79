"""Checkpoints merged tensor by tensor: what is asked for, and the streaming of it."""
