"""LiveAvatar: a portrait speaks, block by block, for as long as there is speech.

Wan2.2-S2V-14B with LiveAvatar's LoRA, written anew for the official checkpoints.
"""
