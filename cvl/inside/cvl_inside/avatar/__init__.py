"""What examples that make a picture speak have in common: the speech and the face, looked at before
anything large is loaded. Nothing of numpy or OpenCV is imported before it is used."""

from .faces import check_portrait
from .speech import RATE, Speech, read_speech, write_track

__all__ = ["RATE", "Speech", "check_portrait", "read_speech", "write_track"]
