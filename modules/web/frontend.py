"""What is changed in the scripts of Gradio's page before they are served.

Each change names its place by what stands there, so another version of Gradio that has it elsewhere is served as it is.
Those that begin with a name begin at its first letter and take it whole: else every end of every name is tried.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """A place in one of Gradio's scripts, and what stands there instead."""

    place: re.Pattern[bytes]
    instead: bytes


MOUNTING = Change(
    re.compile(rb"(function \w+\((\w),\w,\w\)\{)(return \2\.type===`accordion`&&\2\.props\.props\.open===!1&&)"),
    rb"\1if(globalThis.easelMountAll&&(\2.type!==`tabs`||\2.props.shared_props.elem_id!==`tabs`))return \2;\3",
)
"""Gradio leaves what is in closed accordions and unopened tabs out of the document.

With `easelMountAll` set before it starts, all of it is there, as extensions for A1111 expect: what is in the page's
own tab at once, and what is in its other tabs when `easelTree` is asked to show them, so that the first can be used.
"""
HANDING = Change(
    re.compile(rb"(constructor\((?:\w,?)+\)\{)(this\.ready=new Promise\()"),
    rb"\1globalThis.easelTree=this;\2",
)
"""The tree of a page's components is only known to Gradio's own events."""
UNFOLDING = Change(
    re.compile(rb"(function (\w)\(\w,(\w),(\w),\w=!1\)\{if\(\3\.has\((\w)\.id\)&&.{0,200}?\),)(\5\.type===`tabs`\)\{)"),
    rb"\1globalThis.easelMountAll)\5.children.forEach(each=>\2(each,\3,\4));else if(\6",
)
"""A tab that is opened for the first time shows what is in its accordions and tabs too, where all is to be there."""
REPEATING = Change(
    re.compile(rb"(requestAnimationFrame\(\w\)\);)(for\(let (\w) of \w\)this\.#\w\(\3\)\}\})"),
    rb"\1if(!globalThis.easelMountAll)\2",
)
"""Components that have just been made are told once more all that they were made with."""
BUILDING = Change(
    re.compile(rb"\b(\w++\(\)),(\w+\(\(\)=>\{\w+\.reload\(\w+\.components,)"),
    rb"\1&&\2",
)
"""Gradio builds the tree of a page's components twice: when it has loaded, and at once after that as if it were new.

The second time is meant for a page whose program has changed while it was shown, which it counts; none of ours does.
"""
ASKING = Change(
    re.compile(rb"(async get_state\((\w)\)\{let (\w)=this\.#\w\.get\(\2\)),(\w=)(\w\(this\.root,\2\);)"),
    rb"\1;if(\3)return await \3();if(!this.easelNodes){let all=this.easelNodes=new Map,"
    rb"add=each=>{all.set(each.id,each);each.children.forEach(add)};add(this.root)}"
    rb"let \4this.easelNodes.get(\2)??\5",
)
"""Gradio walks through the tree for each value that it hands to an event, though a mounted component knows its own.

For those in tabs that were not opened yet it walks through it once.
"""
TIMING = Change(
    re.compile(
        rb"\b(\w++)&&(\w+\(\)\}\)\}let \w+=\w+\(\(\)=>\{let \w+=null;.{0,4000}?(\w)\.status===`pending`\?)", re.S
    ),
    rb"(\1&&=\3.status===`pending`)&&\2",
)
"""The clock of what is shown while the page loads goes on at every frame for as long as the page is open."""
TELLING = Change(
    re.compile(
        rb"(async update_loading_stati_state\(\)\{await Promise\.all\(Object\.entries\(this\.loading_stati\.current\))"
        rb"\.map\(\(\[(\w),(\w)\]\)=>"
    ),
    rb"\1.filter(([\2,\3])=>(this.easelTold??=new Map).get(\2)!==\3).map(([\2,\3])=>this.easelTold.set(\2,\3)&&",
)
"""Every step of every event tells all components that ever took part in one how it goes, not those of this event.

With extensions' hundreds of events at the beginning this takes most of the time until the page can be used.
"""
FORGETTING = Change(
    re.compile(rb"\b(\w)\.fn_index!==(\w)\.fn_index&&(\(this\.current\[\w\]=\{\.\.\.\1,used_cache:null,)"),
    rb"\1.fn_index!==\2.fn_index&&(\1.used_cache??\1.cache_duration??\1.avg_time??\1.cache_event_id)!=null&&\3",
)
"""What others' events have said is only new when there was something to forget."""
ATTACHING = Change(
    re.compile(
        rb"(find_attached_events\((\w),(\w)\)\{)let (\w)=\3\.filter\(.{0,200}?"
        rb"return \2\.props\.shared_props\.attached_events=\4,\2\}"
    ),
    rb"\1let known=this.easelEvents;if(known?.of!==\3||known.length!==\3.length){"
    rb"known=this.easelEvents={of:\3,length:\3.length,by:new Map};"
    rb"for(let{targets}of \3){let seen=new Set;for(let[id,event]of targets)if(!seen.has(id)){seen.add(id);"
    rb"event&&(known.by.has(id)?known.by.get(id).push(event):known.by.set(id,[event]))}}}"
    rb"return \2.props.shared_props.attached_events=[...known.by.get(\2.id)||[]],\2}",
)
"""Gradio looks through all events for each component; this looks through them once."""
SETTING = Change(
    re.compile(rb"(async set_event_args\(\w,(\w)\)\{)(let \w=\{\},\w=await this\.get_state_cb)"),
    rb"\1if(!Object.keys(\2).length)return()=>{};\3",
)
"""Gradio looks up what an event is about to change of a component before it sees that this is nothing."""
SHOWING = Change(
    re.compile(
        rb"(async update_state\((\w),(\w),(\w)=!0\)\{)"
        rb"(let \w=\w\(this\.root,\2\),\w=!1;.{0,400}?let \w=this\.(#\w)\.get\(\2\);)"
    ),
    rb"\1if(!\4&&\3.loading_status&&Object.keys(\3).length===1){"
    rb"let known=this.\6.get(\2);if(known)return known(\3)}\5",
)
"""A component that is on the page hears at once how its event goes; nothing of the tree has to be looked for."""
LOADING = Change(
    re.compile(
        rb"(dispatch_load_events\(\w=this\.\w+\)\{\w\.forEach\((\w)=>\{\2\.targets\.forEach\(\(\[\w,\w\]\)=>\{\w===`load`&&)"
        rb"(this\.dispatch\(\{[^}]*\}\))"
    ),
    rb"\1(\2.functions.backend?setTimeout(()=>\3):\3)",
)
"""What the server is asked when a page begins waits until what the page does by itself is on its way.

Extensions ask for so much that the form would be there half a second later.
"""
READING = Change(re.compile(rb"(\.get_url_config\(\)),!0\)"), rb"\1)")
"""The page's description is wrapped so that every part of it could change by itself; it is only ever replaced whole."""
CHANGES: Sequence[Change] = (
    MOUNTING, HANDING, UNFOLDING, REPEATING, BUILDING, ASKING, TIMING, TELLING, FORGETTING, ATTACHING, SETTING, SHOWING,
    LOADING, READING,
)  # fmt: skip


def changed(script: bytes) -> bytes:
    """Return one of Gradio's scripts as it is served."""
    for change in CHANGES:
        script = change.place.sub(change.instead, script)
    return script
