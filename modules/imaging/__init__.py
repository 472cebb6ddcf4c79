"""Pixels and picture metadata, with Pillow and NumPy only."""
