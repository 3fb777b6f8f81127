"""Certificate authorities of the machine's own, and its proxies: given to builds and to runs with a
network, without a trace in an image."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cvl.core.dockerfile import APT, APT_CONFIG, BUNDLE, with_authorities
from cvl.errors import InputError
from cvl.machine.authorities import count_authorities, proxy_names

MAX_BUNDLE = 500 * 1024
"""What BuildKit takes as a secret."""


def check_bundle(path: str) -> str:
    """The absolute path of a bundle that can be passed on; InputError for anything else."""
    if not path:
        return ""
    bundle = Path(os.path.abspath(os.path.expanduser(path)))
    _, problem = count_authorities(bundle)
    if problem:
        raise InputError(
            f"the CA bundle {bundle} cannot be used: {problem}",
            hint="give --ca-bundle (or CVL_CA_BUNDLE) a PEM file with certificates",
        )
    if bundle.stat().st_size > MAX_BUNDLE:
        raise InputError(
            f"the CA bundle {bundle} is larger than {MAX_BUNDLE >> 10} KiB",
            hint="keep the certificates that are needed: BuildKit takes no more",
        )
    return str(bundle)


def give_to_build(bundle: str, context: Path, folder: Path) -> dict[str, str]:
    """Change the copy of the Dockerfile in `context`; returns the secrets of the build (name ->
    file), whose files are put into `folder`. An environment has no Dockerfile."""
    if not bundle:
        return {}
    dockerfile = context / "Dockerfile"
    if not dockerfile.exists():
        return {BUNDLE: bundle}
    changed = with_authorities(dockerfile.read_text())
    dockerfile.unlink()  # the copy may be read-only
    dockerfile.write_text(changed)
    shutil.copyfile(bundle, folder / BUNDLE)
    (folder / APT).write_text(APT_CONFIG)
    return {name: str(folder / name) for name in (BUNDLE, APT)}


def proxies() -> dict[str, str]:
    """The proxy variables of this process, as they are."""
    return {name: os.environ[name] for name in proxy_names(os.environ)}
