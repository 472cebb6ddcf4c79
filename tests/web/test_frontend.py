"""What is changed in Gradio's scripts, against the scripts of the Gradio that is installed."""

import pytest

from modules.web.frontend import CHANGES, Change, changed
from modules.web.server import GRADIO_ASSETS


@pytest.mark.parametrize("change", CHANGES)
def test_gradio_has_the_place_of_a_change_exactly_once(change: Change) -> None:
    scripts = [path.read_bytes() for path in GRADIO_ASSETS.glob("*.js")]
    assert sum(len(change.place.findall(script)) for script in scripts) == 1


def test_a_tree_is_only_built_again_when_its_program_was_loaded_again() -> None:
    assert changed(b"le(()=>{v(),oe(()=>{O.reload(r.components,r.layout)})})") == (
        b"le(()=>{v()&&oe(()=>{O.reload(r.components,r.layout)})})"
    )


def test_a_component_that_knows_its_value_is_not_looked_for() -> None:
    script = b"async get_state(e){let t=this.#s.get(e),n=Z(this.root,e);return!t&&!n?null:t?await t():n}"
    assert changed(script) == (
        b"async get_state(e){let t=this.#s.get(e);if(t)return await t();"
        b"let n=Z(this.root,e);return!t&&!n?null:t?await t():n}"
    )


def test_the_clock_stops_with_what_it_measures() -> None:
    script = b"{W&&ze()})}let Q=n(()=>{let e=null;more});O(()=>{o.status===`pending`?Ve():He()})"
    assert changed(script) == (
        b"{(W&&=o.status===`pending`)&&ze()})}let Q=n(()=>{let e=null;more});O(()=>{o.status===`pending`?Ve():He()})"
    )


def test_other_scripts_stay_as_they_are() -> None:
    script = b"let a=b.reload(c,d),e=f(),g=async get_state(h){return h.status===`pending`}"
    assert changed(script) == script
