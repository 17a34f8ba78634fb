"""The `hraft` command's way in, also as `python -m hraft`. Small, so that nearly all of its start can be interrupted."""

import signal


def main() -> None:
    """Run the command."""
    # Python would answer Ctrl-C during the imports with pages of traceback. Where it is ignored already, it stays so.
    is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from hraft.cli import main as command

    if is_heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    command(prog_name="hraft")


if __name__ == "__main__":
    main()
