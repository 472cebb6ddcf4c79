"""Commands that run without the page: `launch.py generate` and `launch.py doctor`."""
