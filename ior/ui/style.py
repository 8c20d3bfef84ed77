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
        "message": "ansiyellow",
        "prompt": "bold",
        "bar.key": "reverse",
        "bar.word": "",
    }
)
