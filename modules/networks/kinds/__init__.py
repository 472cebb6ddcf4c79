"""The kinds of networks: what each does to one layer. A new kind is one class and one entry in `registry.py`."""
