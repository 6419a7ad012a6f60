"""API keys as they are kept in a file, and `hangtag keys`, one subcommand per file; it needs no server."""
