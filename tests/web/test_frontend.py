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
        b"async get_state(e){let t=this.#s.get(e);if(t)return await t();if(!this.easelNodes){"
        b"let all=this.easelNodes=new Map,add=each=>{all.set(each.id,each);each.children.forEach(add)};add(this.root)}"
        b"let n=this.easelNodes.get(e)??Z(this.root,e);return!t&&!n?null:t?await t():n}"
    )


def test_the_clock_stops_with_what_it_measures() -> None:
    script = b"{W&&ze()})}let Q=n(()=>{let e=null;more});O(()=>{o.status===`pending`?Ve():He()})"
    assert changed(script) == (
        b"{(W&&=o.status===`pending`)&&ze()})}let Q=n(()=>{let e=null;more});O(()=>{o.status===`pending`?Ve():He()})"
    )


def test_components_are_told_how_an_event_goes_when_that_has_changed() -> None:
    script = (
        b"async update_loading_stati_state(){await Promise.all(Object.entries(this.loading_stati.current)"
        b".map(([e,t])=>this.update_state_cb(Number(e),{loading_status:t},!1)))}"
    )
    assert changed(script) == (
        b"async update_loading_stati_state(){await Promise.all(Object.entries(this.loading_stati.current)"
        b".filter(([e,t])=>(this.easelTold??=new Map).get(e)!==t)"
        b".map(([e,t])=>this.easelTold.set(e,t)&&this.update_state_cb(Number(e),{loading_status:t},!1)))}"
    )
    script = b"n.fn_index!==e.fn_index&&(this.current[t]={...n,used_cache:null,more:null})"
    assert changed(script) == (
        b"n.fn_index!==e.fn_index&&(n.used_cache??n.cache_duration??n.avg_time??n.cache_event_id)!=null&&"
        b"(this.current[t]={...n,used_cache:null,more:null})"
    )


def test_an_event_that_changes_nothing_of_a_component_asks_nothing_of_it() -> None:
    script = b"async set_event_args(e,t){let n={},r=await this.get_state_cb"
    early = b"async set_event_args(e,t){if(!Object.keys(t).length)return()=>{};let n={},r=await this.get_state_cb"
    assert changed(script) == early


def test_a_component_on_the_page_hears_at_once_how_its_event_goes() -> None:
    rest = b"let r=Z(this.root,e),i=!1;more;let a=this.#c.get(e);"
    assert changed(b"async update_state(e,t,n=!0){" + rest) == (
        b"async update_state(e,t,n=!0){if(!n&&t.loading_status&&Object.keys(t).length===1){"
        b"let known=this.#c.get(e);if(known)return known(t)}" + rest
    )


def test_what_the_server_is_asked_at_the_beginning_comes_after_what_the_page_does_itself() -> None:
    begun = b"dispatch_load_events(e=this.all){e.forEach(e=>{e.targets.forEach(([t,n])=>{n===`load`&&"
    call = b"this.dispatch({type:`fn`,fn_index:e.id})"
    assert changed(begun + call + b"})})}") == (
        begun + b"(e.functions.backend?setTimeout(()=>" + call + b"):" + call + b")})})}"
    )


def test_all_but_the_pages_other_tabs_is_there_at_once_where_extensions_are() -> None:
    rest = b"return e.type===`accordion`&&e.props.props.open===!1&&(J(e,t)),e"
    assert changed(b"function N(e,t,n){" + rest + b"}") == (
        b"function N(e,t,n){if(globalThis.easelMountAll&&"
        b"(e.type!==`tabs`||e.props.shared_props.elem_id!==`tabs`))return e;" + rest + b"}"
    )


def test_a_tab_that_is_opened_shows_what_is_folded_in_it_where_extensions_are() -> None:
    begun = b"function K(e,t,n,r=!1){if(t.has(e.id)&&!e.props.shared_props.visible&&(more,n.push(e)),"
    rest = b"e.type===`tabs`){let r=1}"
    assert changed(begun + rest) == (
        begun + b"globalThis.easelMountAll)e.children.forEach(each=>K(each,t,n));else if(" + rest
    )
    told = b"await new Promise(e=>requestAnimationFrame(e));"
    again = b"for(let e of n)this.#p(e)}}"
    assert changed(told + again) == told + b"if(!globalThis.easelMountAll)" + again


def test_the_tree_of_the_page_can_be_asked() -> None:
    script = b"constructor(e,t,n){this.ready=new Promise(e=>1)}"
    assert changed(script) == b"constructor(e,t,n){globalThis.easelTree=this;this.ready=new Promise(e=>1)}"


def test_the_description_of_the_page_is_kept_as_it_came() -> None:
    assert changed(b"R(M,S(G).get_url_config(),!0),oe(S(M))") == b"R(M,S(G).get_url_config()),oe(S(M))"


def test_other_scripts_stay_as_they_are() -> None:
    script = b"let a=b.reload(c,d),e=f(),g=async get_state(h){return h.status===`pending`}"
    assert changed(script) == script
