"""The recipes that come with Hangtag, one TOML file per system."""
