"""The graph: what a pipeline says (`spec`), whether it is right (`check`), how it runs (`run`)."""
