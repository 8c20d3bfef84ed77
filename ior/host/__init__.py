"""What ior knows of the host beside tracing: commands, processes, output files."""
