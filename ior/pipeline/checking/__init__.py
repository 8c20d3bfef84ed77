"""What `check` looks at: columns of edges, limits, objections of nodes, whose code it is."""
