"""How the starter model was made: pictures, captions, networks, training, export, measurement."""
