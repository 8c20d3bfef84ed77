"""The parts of the Stream tab: which rows there are, their columns, the search, a row in full.

The rows are the retained batches themselves, as columns. What is decoded into text is what
stands on the screen; a search asks the regular expression once for each distinct name or number.
"""
