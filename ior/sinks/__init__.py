"""What writes outside the process: rows as they come, or results at the end."""
