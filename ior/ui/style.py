"""How the screen's parts look: class names in the views, colours here.

Only the sixteen colours of every terminal are used, and whatever matters is also said in
words or by reversed video, so nothing is lost under NO_COLOR.
"""

from __future__ import annotations

from prompt_toolkit.styles import Style

STYLE = Style.from_dict(
    {
        "title": "reverse bold",
        "badge": "reverse bold ansired",
        "label": "ansicyan",
        "value": "bold",
        "good": "ansigreen",
        "bad": "ansired bold",
        "tab": "",
        "tab.here": "reverse",
        "heading": "underline",
        "heading.sorted": "underline bold",
        "key": "ansiblue",
        "cursor": "reverse",
        "rest": "ansibrightblack",
        "match": "bold underline ansiwhite",
        "flame.edge": "",
        "flame.none": "bg:ansigray ansiblack",
        "flame.other": "ansibrightblack",
        "flame.f0": "bg:ansicyan ansiblack",
        "flame.f1": "bg:ansiyellow ansiblack",
        "flame.f2": "bg:ansimagenta ansiblack",
        "flame.f3": "bg:ansigreen ansiblack",
        "flame.f4": "bg:ansiblue ansiwhite",
        "flame.f5": "bg:ansibrightred ansiblack",
        "flame.c0": "bg:ansicyan ansiblack",
        "flame.c1": "bg:ansigray ansiblack",
        "flame.c2": "bg:ansired ansiwhite",
        "bar": "ansicyan",
        "shade.0": "",
        "shade.1": "ansiblue",
        "shade.2": "ansicyan",
        "shade.3": "ansiyellow",
        "shade.4": "ansired",
        "heat.0": "bg:ansiblue ansiwhite",
        "heat.1": "bg:ansicyan ansiblack",
        "heat.2": "bg:ansigreen ansiblack",
        "heat.3": "bg:ansiyellow ansiblack",
        "heat.4": "bg:ansired ansiwhite",
        "message": "ansiyellow",
        "prompt": "bold",
        "bar.key": "reverse",
        "bar.word": "",
    }
)
