"""The graph: what a pipeline says, whether it makes sense, and how it runs."""
