"""A still portrait that speaks, with the official weights of SadTalker."""
