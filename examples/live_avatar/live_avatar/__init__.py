<<<<<<< HEAD
"""Blocks of video from a picture and sound, one after the other; `studio` joins the parts."""
=======
"""LiveAvatar: a portrait speaks, block by block. Begin with `studio` and `generation`."""
>>>>>>> forcing
