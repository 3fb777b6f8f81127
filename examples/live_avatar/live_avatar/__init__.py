"""LiveAvatar: a portrait speaks, block by block. Begin with `studio` and `generation`."""
