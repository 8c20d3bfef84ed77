"""The live view: a frozen model, a pure reducer, and screens drawn from snapshots.

Nothing here touches a running node. `app` runs a graph and a prompt_toolkit application
side by side; everything that is on the screen is a function of one `state.State`.
"""
