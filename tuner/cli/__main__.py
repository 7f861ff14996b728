"""`python -m kerntune.tuner.cli`: the same as `tune`."""

from .main import main

if __name__ == "__main__":
    main()
