"""`python -m hraft`: the `hraft` command, where it is not on the path."""

from hraft.cli import main

main(prog_name="hraft")
