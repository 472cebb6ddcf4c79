"""Is not written to its end."""

exec("def unfinished(")
