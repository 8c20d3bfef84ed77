"""The command line: one module per command, and errors that become exit codes."""
