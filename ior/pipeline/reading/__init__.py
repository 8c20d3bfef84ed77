"""From the text of a pipeline.toml to structs, with the place of everything that is wrong."""
