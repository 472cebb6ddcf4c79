"""Scripts on the page: an X/Y/Z plot from its fields to the grid in the gallery, and back."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPage
from tests.browser.driver import PATIENCE_MS, Server

pytestmark = pytest.mark.browser


def test_a_plot_fills_the_gallery_with_its_grid_and_its_settings_come_back(new_page: NewPage, server: Server) -> None:
    server.open_gate()
    easel = new_page()
    page = easel.page
    # The fields of scripts are a quarter of all, and made when they are wanted.
    expect(page.locator(".easel-script")).to_have_count(0)
    page.locator("#txt2img_script_list input").click()
    page.locator("[role=option]").filter(has_text="X/Y/Z plot").first.click()
    expect(page.locator("#txt2img_script_xyz_plot")).to_be_visible()
    page.locator("#txt2img_xyz_plot_x_type input").fill("Steps")
    page.locator("[role=option]").filter(has_text="Steps").first.click()
    page.locator("#txt2img_xyz_plot_x_values textarea").fill("1-3, many")
    easel.prepare("a plot")
    easel.wait_form(script="X/Y/Z plot", **{"xyz_plot.x_type": "Steps", "xyz_plot.x_values": "1-3, many"})
    easel.generate()
    expect(page.locator("#txt2img_message")).to_contain_text("X values (Steps): many is not possible")
    page.locator("#txt2img_xyz_plot_x_values textarea").fill("1-3")
    easel.wait_form(**{"xyz_plot.x_values": "1-3"})
    easel.generate()
    page.wait_for_function("window.easel.live.job?.state === 'finished'", timeout=PATIENCE_MS)
    easel.wait_pictures(1)
    easel.wait_infotext("Script: X/Y/Z plot, X Type: Steps, X Values: 1-3")
    page.locator("#txt2img_xyz_plot_x_values textarea").fill("7")
    easel.tab("queue")
    expect(page.locator(".easel-card-facts").first).to_contain_text("3 pictures")
    page.locator("[data-action=use]").first.click()
    easel.wait_form(script="X/Y/Z plot", **{"xyz_plot.x_values": "1-3"})


def test_values_are_chosen_from_a_list_filled_in_and_swapped(new_page: NewPage) -> None:
    page = (easel := new_page()).page
    page.locator("#txt2img_script_list input").click()
    page.locator("[role=option]").filter(has_text="X/Y/Z plot").first.click()
    choose = page.get_by_role("button", name="X values: Choose …")
    easel.wait_form(script="X/Y/Z plot")
    expect(choose).to_be_hidden()
    page.locator("#txt2img_xyz_plot_x_type input").fill("Schedule type")
    page.locator("[role=option]").filter(has_text="Schedule type").first.click()
    page.locator("#txt2img_xyz_plot_x_values textarea").fill("own, Karras")
    easel.wait_form(**{"xyz_plot.x_values": "own, Karras"})
    choose.click()
    dialog = page.get_by_role("dialog", name="X values")
    expect(dialog.get_by_role("checkbox", checked=True)).to_have_count(1)
    dialog.get_by_role("searchbox").fill("exp")
    dialog.get_by_role("button", name="All").click()
    expect(dialog.locator(".easel-offered-row:visible")).to_have_count(2)
    dialog.get_by_role("button", name="Use these").click()
    easel.wait_form(**{"xyz_plot.x_values": "own, Karras, Exponential, Polyexponential"})
    page.locator("#txt2img_xy_grid_swap_axes_button").click()
    easel.wait_form(**{
        "xyz_plot.x_type": "Nothing", "xyz_plot.y_type": "Schedule type", "xyz_plot.x_values": "",
        "xyz_plot.y_values": "own, Karras, Exponential, Polyexponential",
    })  # fmt: skip
    expect(choose).to_be_hidden()
    page.get_by_role("button", name="Y values: All").click()
    page.wait_for_function(
        "window.easel.pages.txt2img.form.values['xyz_plot.y_values'].startsWith('Automatic, Uniform, Karras, ')"
    )
