"""Tabs: one module each, and one line in `catalogue`.

A tab is an object of a subclass of `abc.Tab` that changes no more once it is made. Four
methods carry it, each with the part of the work that it may do:

- `look(sight, view)` is the only one that touches the run, and only through `sight.Sight`. It
  returns a frozen picture (`seen`): all that the tab shows for any view, so that moving,
  sorting and zooming need no new look. It is called on every tick while the tab is in front
  and not paused, and at once when `view.wants`, the filter or the tab changes.
- `arrange(view, seen, size, last)` is pure: it lays the picture out for the body's size, puts
  the view's positions inside it, and returns both. It is called after whatever could change
  them; `last` is the layout before, of which it may keep what still holds.
- `reduce(view, layout, event)` is pure: it says what a key of the tab, a click or an answer
  to a question of the tab makes of the view (`Step`). None leaves it to the general meaning
  of the key. A step may also ask a question, say something or add a term to the filter.
- `line(view, layout, row)` draws a line of the body exactly as wide as the terminal. What it
  draws passes `widgets.exactly`, so nothing that was traced reaches the terminal as it is.

The view (`begin` is the first) is a frozen struct of the tab's own: cursor, order, zoom. It
survives while other tabs are in front. `keys` are the lines of the tab alone: help, key bar,
bindings and documentation come from them. Whatever stands in a tab's place (help, warnings)
is a `Tab` as well, opened by a general key. `find(nodes)` says which tabs a pipeline gives.
"""
