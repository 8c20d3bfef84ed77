"""Choosing whom to trace: the whole host, one of its processes, or a thread of one.

`choice` is what is on the screen and what changes it, both pure; `view` draws it; `screen`
is the application around them, which reads /proc.
"""
