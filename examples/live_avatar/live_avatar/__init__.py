"""Blocks of video from a picture and sound, one after the other; `studio` joins the parts."""
