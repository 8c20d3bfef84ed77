"""How the screen's parts look: class names in the views, colours here, in four themes.

`dark` and `light` are for backgrounds of that kind, in colours of the 256 that most terminals
have; what is drawn in them has the contrast that text needs (WCAG, 4.5 to 1). `16` keeps to the
terminal's own colours, and to those of them that can be read on both. `none` has no colours.
Whatever matters is also said in words or by reversed video.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

Classes = dict[str, str]

_PLAIN: Classes = {
    "title": "reverse bold",
    "badge": "reverse bold",
    "value": "bold",
    "bad": "bold",
    "tab": "fg:default",  # prompt_toolkit has a colour of its own for it
    "tab.here": "reverse",
    "heading": "underline",
    "heading.sorted": "underline bold",
    "cursor": "reverse",
    "match": "bold underline",
    "prompt": "bold",
    "bar.key": "fg:default reverse",
    "bar.word": "fg:default",
}
_FRAMES = ("flame.f0", "flame.f1", "flame.f2", "flame.f3", "flame.f4", "flame.f5")
_FRAME_COLOURS = ("#5fd7d7", "#ffd75f", "#d787d7", "#87d787", "#87afff", "#ff8787")
_ON_COLOURS: Classes = {  # text on a colour of its own, that is readable on any background
    "badge": "bg:#d70000 #ffffff bold noreverse",
    **{name: f"bg:{colour} #000000" for name, colour in zip(_FRAMES, _FRAME_COLOURS, strict=True)},
    "flame.none": "bg:#bcbcbc #000000",
    "flame.c0": "bg:#5fd7d7 #000000",
    "flame.c1": "bg:#bcbcbc #000000",
    "flame.c2": "bg:#ff8787 #000000",
    "heat.0": "bg:#87afff #000000",
    "heat.1": "bg:#5fd7d7 #000000",
    "heat.2": "bg:#87d787 #000000",
    "heat.3": "bg:#ffd75f #000000",
    "heat.4": "bg:#ff8787 #000000",
}


def _coloured(plain: Classes, **colours: str) -> Classes:
    """Add a colour to classes, each given with `_` for the dot in its name."""
    added = {name.replace("_", "."): colour for name, colour in colours.items()}
    return {**plain, **{name: f"{plain.get(name, '')} {added[name]}" for name in added}}


_DARK = _coloured(
    _PLAIN | _ON_COLOURS,
    label="#5fd7d7",
    good="#87d787",
    bad="#ff8787",
    key="#87afff",
    rest="#9e9e9e",
    match="bg:#ffffff #000000",
    flame_other="#9e9e9e",
    bar="#5fd7d7",
    shade_1="#87afff",
    shade_2="#5fd7d7",
    shade_3="#ffd75f",
    shade_4="#ff8787",
    message="#ffd75f",
)
_LIGHT = _coloured(
    _PLAIN | _ON_COLOURS,
    label="#005f87",
    good="#005f00",
    bad="#af0000",
    key="#0000af",
    rest="#5f5f5f",
    match="bg:#000000 #ffffff",
    flame_other="#5f5f5f",
    bar="#005f87",
    shade_1="#005fd7",
    shade_2="#005f87",
    shade_3="#875f00",
    shade_4="#af0000",
    message="#875f00",
)
_SIXTEEN = _coloured(
    _PLAIN,
    badge="ansired",
    good="ansigreen",
    bad="ansired",
    key="ansimagenta",
    rest="ansibrightblack",
    match="bg:ansiwhite ansiblack",
    flame_other="ansibrightblack",
    flame_none="bg:ansigray ansiblack",
    flame_f0="bg:ansicyan ansiblack",
    flame_f1="bg:ansiyellow ansiblack",
    flame_f2="bg:ansimagenta ansiblack",
    flame_f3="bg:ansigreen ansiblack",
    flame_f4="bg:ansiblue ansiwhite",
    flame_f5="bg:ansibrightred ansiblack",
    flame_c0="bg:ansicyan ansiblack",
    flame_c1="bg:ansigray ansiblack",
    flame_c2="bg:ansired ansiwhite",
    shade_3="ansimagenta",
    shade_4="ansired",
    heat_0="bg:ansiblue ansiwhite",
    heat_1="bg:ansicyan ansiblack",
    heat_2="bg:ansigreen ansiblack",
    heat_3="bg:ansiyellow ansiblack",
    heat_4="bg:ansired ansiwhite",
)
CLASSES: dict[str, Classes] = {"dark": _DARK, "light": _LIGHT, "16": _SIXTEEN, "none": _PLAIN}


class Theme(NamedTuple):
    """What a screen is drawn with."""

    name: str
    style: Style
    depth: ColorDepth


def theme(name: str | None, environment: Mapping[str, str]) -> Theme:
    """Return the theme of a name; None for the one that fits the terminal.

    The terminal says in `environment` what it can: NO_COLOR, COLORTERM, TERM and, on some,
    COLORFGBG. It is not asked over the line: a late answer would be taken for keys.
    """
    name = name or fitting(environment)
    depth = {"16": ColorDepth.DEPTH_4_BIT, "none": ColorDepth.DEPTH_1_BIT}.get(name)
    if depth is None:
        full = environment.get("COLORTERM") in _FULL
        depth = ColorDepth.DEPTH_24_BIT if full else ColorDepth.DEPTH_8_BIT
    return Theme(name, Style.from_dict(CLASSES[name]), depth)


_FULL = ("truecolor", "24bit")


def fitting(environment: Mapping[str, str]) -> str:
    """Return the name of the theme that fits a terminal of this environment."""
    terminal = environment.get("TERM", "")
    if environment.get("NO_COLOR") or terminal in ("dumb", ""):
        return "none"
    if environment.get("COLORTERM") not in _FULL and not terminal.endswith(("256color", "direct")):
        return "16"
    background = environment.get("COLORFGBG", "").rpartition(";")[2]
    return "light" if background in ("7", "15") else "dark"
