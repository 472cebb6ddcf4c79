"""The gallery: how finished pictures become files."""
