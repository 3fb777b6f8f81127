"""What a pickle would run when it is loaded, found out without loading it.

`scan` knows the formats that weights come in, `machine.py` follows the opcodes of one pickle,
`allowed.py` has the names that are harmless.
"""

from cvl.core.pickles.formats import scan
from cvl.core.pickles.machine import NoPickle, Refused

__all__ = ["RULES", "NoPickle", "Refused", "scan"]

RULES = 1
"""Number of these rules: a verdict of others is none."""
