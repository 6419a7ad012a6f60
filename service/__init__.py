"""From artifacts to REST answers: an async service that imports no training stack."""
