"""Artifacts -> labels for a whole catalogue: folders, manifests, archives and object stores, here or on a cluster."""
