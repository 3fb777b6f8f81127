"""`cvl models`: the weights of examples, in the cache that they share with other programs."""

from __future__ import annotations

from cvl.cli.lazy import LazyGroup

# Command -> (module here, one line of help).
MODELS: dict[str, tuple[str, str]] = {
    "list": ("list", "List weights: what is here, and who uses it."),
    "status": ("status", "Show the files of weights."),
    "pull": ("pull", "Fetch weights."),
    "verify": ("verify", "Read files again: are they what they should be?"),
    "repair": ("repair", "Fetch again what is wrong, and nothing else."),
    "lock": ("lock", "Note commits and what every file holds."),
    "outdated": ("outdated", "Compare pins with what the hub says now."),
    "update": ("update", "Move pins to what the hub says now."),
    "export": ("export", "Write weights into one file, for a machine without a network."),
    "import": ("import_", "Take weights from such a file."),
    "rm": ("rm", "Remove weights."),
    "prune": ("prune", "Remove what nothing names, and remains of downloads."),
}

command = LazyGroup(
    "models",
    table=MODELS,
    package="cvl.cli.commands.models",
    path="cvl models",
    help="""List, fetch, verify and remove weights.

    They lie in the Hugging Face cache (HF_HUB_CACHE, HF_HOME), which other programs share. A
    SELECTION is the name of an example, a repo (ORG/NAME), or a word that is part of the names of
    repos or of tasks: bark, stable-diffusion.""",
    epilog="cvl models COMMAND --help shows the options of a command.",
)
