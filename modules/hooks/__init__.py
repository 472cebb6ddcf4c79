"""What an extension can do, and nothing about where it comes from."""
