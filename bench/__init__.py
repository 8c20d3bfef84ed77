"""The benchmark: what tracing costs the traced program, and what it costs ior."""
