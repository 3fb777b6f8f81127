"""What examples on diffusers have in common: loading any pipeline of a repo, placing it, calling it
with the options that it has, and writing what comes out. Nothing of torch is imported before it is
used."""

from .calling import generator
from .frames import finite_frames, write_video
from .image import make_image
from .loading import class_from_image, class_of, load, load_gguf, load_part, starts_from_image
from .pictures import covering, open_picture
from .placing import place, prepare
from .sizes import parse_size
from .video import Wish, make_video

__all__ = [
    "Wish",
    "class_from_image",
    "class_of",
    "covering",
    "finite_frames",
    "generator",
    "load",
    "load_gguf",
    "load_part",
    "make_image",
    "make_video",
    "open_picture",
    "parse_size",
    "place",
    "prepare",
    "starts_from_image",
    "write_video",
]
