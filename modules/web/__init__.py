"""The rim: the page (Gradio), its own routes and socket (FastAPI), and the gates in front of them."""

from modules.web import quick_start

quick_start.install()
