"""`hangtag models`: what is in the repository, whether it is sound, and which version answers whom."""
