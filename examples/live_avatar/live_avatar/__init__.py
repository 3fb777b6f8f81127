"""LiveAvatar: talking video of any length from a picture and sound, block by block.

Read `generation.py` first, then `dit.py` and `cache.py`.
"""
