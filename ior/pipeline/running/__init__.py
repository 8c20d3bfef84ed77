"""What `run` is made of: nodes at work, where their code runs, and what changes under them."""
