"""The vocabulary of Easel: plain values that every other package speaks in. No torch, no input or output."""
