"""What Hangtag claims in figures, and the command that measures each."""
