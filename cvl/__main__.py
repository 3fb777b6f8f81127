"""`python -m cvl` is the same as `cvl`."""

from cvl.cli import main

if __name__ == "__main__":
    main()
