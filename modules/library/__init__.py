"""Model files on disk: found, named, identified and hashed without reading a tensor. No torch."""
