"""Easel's packages, one word each; docs/architecture.md draws them, and imports only ever point down that list."""
