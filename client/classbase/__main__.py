"""`python -m classbase` is the same as the command `classbase`."""

from classbase.cli.app import main

if __name__ == "__main__":
    main()
