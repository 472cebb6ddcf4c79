"""Found only while the extension's own folder is on sys.path."""

TAG = "always on"
