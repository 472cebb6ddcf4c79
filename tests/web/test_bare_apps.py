"""Blocks that are built to be mounted get no application of their own, and work all the same once mounted."""

import gradio as gr
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from modules.web.pages.bare_apps import bare_apps


def routes(blocks: gr.Blocks) -> int:
    return sum(isinstance(route, APIRoute) for route in blocks.app.routes)


def test_blocks_inside_each_other_get_applications_without_gradios_routes() -> None:
    with bare_apps(), gr.Blocks() as page, gr.Tab("one"), gr.Blocks() as inside:
        gr.Markdown("in the middle")
    assert (routes(page), routes(inside)) == (0, 0)
    assert page.app.get_blocks() is page


def test_blocks_that_others_build_later_get_whole_ones() -> None:
    with pytest.raises(ValueError, match="in the middle"), bare_apps():
        raise ValueError("in the middle")
    with gr.Blocks() as page:
        gr.Markdown("alone")
    assert routes(page) > 10


def test_what_was_built_so_is_served_when_it_is_mounted() -> None:
    with bare_apps(), gr.Blocks() as page:
        gr.Markdown("in the middle")
    with TestClient(gr.mount_gradio_app(FastAPI(), page, "/", mcp_server=False)) as client:
        assert "in the middle" in client.get("/config").text
