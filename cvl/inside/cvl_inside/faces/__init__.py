"""What examples that draw faces anew have in common: finding faces, saying what each pixel of them
is, putting them upright and back, and drawing pictures twice as large.

Its modules need torch, numpy and OpenCV, and are imported one by one by who uses them; this one
needs nothing.
"""
