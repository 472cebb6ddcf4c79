"""What plugins offer for their texts: the route behind the buttons beside an axis's values, and what the page knows."""

from __future__ import annotations

from starlette.testclient import TestClient

from modules.web.tab_forms import TabForm
from tests.web.site import Site


def test_values_are_offered_as_the_other_field_says(client: TestClient, site: Site) -> None:
    def offered(value: str) -> list[str]:
        answer = client.get("/easel/plugins/xyz_plot/offered", params={"value": value})
        assert answer.status_code == 200
        return list(answer.json()["values"])

    assert offered("Sampler") == list(site.services.lists.names("samplers"))
    assert offered("Hires sampler") == ["Use same sampler", *site.services.lists.names("samplers")]
    assert offered("Tiling") == ["True", "False"]
    assert offered("Steps") == offered("no such axis") == []


def test_only_plugins_that_offer_values_are_asked(client: TestClient) -> None:
    answer = client.get("/easel/plugins/prompt_matrix/offered", params={"value": "Sampler"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("Plugin: prompt_matrix is not possible; allowed is one of xyz_plot")


def test_the_page_knows_which_fields_values_depend_on_and_which_may_be_swapped(site: Site) -> None:
    form = TabForm("img2img", site.services.lists, site.services.plugins)
    by = {field["name"]: field["offeredBy"] for field in form.describe() if "offeredBy" in field}
    assert by == {f"xyz_plot_img2img.{letter}_values": f"xyz_plot_img2img.{letter}_type" for letter in "xyz"}
    assert [swap["element"] for swap in form.describe_swaps()] == [
        f"{letters}_grid_swap_axes_button" for letters in ("xy", "xz", "yz")
    ]
    names = {field["name"] for field in form.describe()}
    assert all(set(pair) <= names for swap in form.describe_swaps() for pair in swap["pairs"])  # type: ignore[attr-defined]
