"""Our own features as plugins. They load without torch, since the page shows them before torch is there."""
