"""The prompt language: text in, plain data out. No torch."""
