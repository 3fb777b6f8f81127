"""What the tests need, before the first of them: programs, and base images in the engine that the
tests start themselves. One process does it, so that sessions side by side find it done."""

from __future__ import annotations

from tests.support import engine, images, packages


def main() -> None:
    packages.ensure_programs()
    if packages.may_install():
        found = engine.provide()
        images.ensure_images(found)
        images.keep_python(found)
        found.stop()


if __name__ == "__main__":
    main()
