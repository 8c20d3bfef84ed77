"""Tabs: each names a node to look at, picks a table of its snapshot, and draws the body."""
