"""`python -m chaos --nodes 3 --seconds 60 --seed 1`: real nodes under faults, and a verdict. Exit status 1: a violation."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

from chaos import namespaces
from chaos.ending import write_history
from chaos.faults import FAULTS
from chaos.links import Network
from chaos.namespaces import Namespaces
from chaos.nodes import faketime_library
from chaos.proxies import Proxies
from chaos.run import Run
from chaos.security import Security, Users


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--nodes", type=int, choices=(3, 5), default=3)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, default=60.0, help="how long there are faults [default: %(default)g]")
    length.add_argument("--minutes", type=float)
    parser.add_argument("--seed", type=int, help="chooses the faults and what clients ask [default: any]")
    usual = ",".join(kind for kind in FAULTS if kind != "clock")
    parser.add_argument(
        "--faults",
        default=usual,
        help="which, with commas between [default: %(default)s]; also clock, for which all nodes run under libfaketime, slowly",
    )
    parser.add_argument("--links", choices=("auto", "namespaces", "proxies"), default="auto", help="what joins the nodes")
    parser.add_argument("--tls", action="store_true", help="all talk TLS, and all show certificates")
    parser.add_argument("--auth", action="store_true", help="nodes let in those only who say who they are")
    parser.add_argument("--folder", type=Path, help="where a failed run leaves its logs and history [default: a temporary one]")
    parser.add_argument("--keep", action="store_true", help="leave them after a run without violations too")
    parser.add_argument("--quiet", action="store_true", help="do not tell each fault")
    found = parser.parse_args(words)
    found.faults = [kind.strip() for kind in found.faults.split(",")]
    unknown = [kind for kind in found.faults if kind not in FAULTS]
    if unknown:
        parser.error(f"no such fault: {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    if found.tls and "clock" in found.faults:
        parser.error("--tls and the fault clock: certificates are valid by the wall clock")
    if found.seed is None:
        found.seed = random.SystemRandom().randrange(1_000_000)
    if found.minutes is not None:
        found.seconds = 60 * found.minutes
    return found


def _network(links: str, seed: int) -> Network:
    if links != "proxies":
        objection = namespaces.objection()
        if objection is None:
            return Namespaces()
        if links == "namespaces":
            raise SystemExit(f"chaos: {objection}")
        print(f"TCP proxies instead of namespaces: {objection}")
    return Proxies(random.Random(f"proxies of {seed}"))


def _stop(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def main(words: list[str] | None = None) -> int:
    """One run. Leaves no process, no namespace and, if all went well, no file."""
    arguments = _arguments(words)
    signal.signal(signal.SIGTERM, _stop)
    if "clock" in arguments.faults and faketime_library() is None:
        arguments.faults.remove("clock")
        print("clock: skipped, libfaketime is not installed (on Debian: apt-get install libfaketime)")
    folder = Path(tempfile.mkdtemp(prefix="hraft-chaos-", dir=arguments.folder))
    begun = time.monotonic()

    def say(told: str) -> None:
        if not arguments.quiet:
            print(f"{time.monotonic() - begun:7.2f} {told}", flush=True)

    network: Network | None = None
    run: Run | None = None
    is_kept = True
    try:
        network = _network(arguments.links, arguments.seed)
        if arguments.tls:
            network.security = Security(folder / "certs")
        if arguments.auth:
            network.users = Users(folder / "users")
        said = ((network.kind, True), ("TLS", arguments.tls), ("users", arguments.auth))
        kind = ", ".join(word for word, is_so in said if is_so)
        print(f"{arguments.nodes} nodes, {kind}, {arguments.seconds:g} s, seed {arguments.seed}", flush=True)
        run = Run(network, folder, arguments.nodes, arguments.seconds, arguments.seed, arguments.faults, say)
        report = run.run()
        is_kept = bool(report.violations) or arguments.keep
        print("\n".join(report.lines()))
        if is_kept:
            write_history(run.record.epochs, folder / "history.jsonl")
            print(f"history, logs and data directories are in {folder}")
        return int(bool(report.violations))
    except KeyboardInterrupt:
        is_kept = False
        print("interrupted")
        return 130
    finally:
        if run is not None:
            run.close()
        if network is not None:
            network.close()
        if not is_kept:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
