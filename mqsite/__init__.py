"""mqsite: the kernel both halves share, and the wiring that puts them together."""
