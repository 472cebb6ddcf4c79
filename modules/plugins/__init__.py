"""Extensions on disk: found, judged, installed, updated, and Easel's own plugins in them loaded."""
