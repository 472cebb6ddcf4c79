"""Settings: every option declared once, and the JSON file that keeps the user's choices."""
