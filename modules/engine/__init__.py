"""Requests become pictures here. The only package that knows diffusers and transformers."""
