"""Everything about weights that touches the network, on huggingface_hub.

`worker.py` is a program of its own that resolves, downloads and deletes; `remote.py` starts it and
follows what it says. So huggingface_hub is loaded by those who need it alone, a download ends with
the process, and how it goes about its work (offline, Xet, timeouts: environment variables that are
read once) can differ from one download to the next. What is in the cache is read by
`store/hub_cache.py`, without the library.
"""
