"""doctor: what is not as it should be, and what to do about it; of a running cluster, or of a data directory."""

from __future__ import annotations

import sys
import time

import click

from hraft.cli.printing import shown
from hraft.cli.session import Session, pass_session
from hraft.client import HraftClient
from hraft.doctor.cluster import findings_of_cluster
from hraft.doctor.directory import findings_of_directory
from hraft.doctor.findings import Finding, Level, worst
from hraft.doctor.looks import look_at_all
from hraft.doctor.machines import findings_of_machines

_WORDS = {Level.OK: "ok", Level.WARNING: "warning", Level.PROBLEM: "PROBLEM"}


@click.command()
@click.option("--dir", "directories", multiple=True, metavar="DIR", help="Look at this data directory, not at a cluster.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing of what is well.")
@pass_session
def doctor(session: Session, directories: tuple[str, ...], quiet: bool) -> None:
    """Look at every member of a running cluster, or at data directories, and say what to do about what is not well.

    Changes nothing. Exit code 0: all is well; 1: there are warnings; 2: there are problems.
    """
    if directories:
        findings = [finding for directory in directories for finding in findings_of_directory(directory, time.time)]
    else:
        findings = session.run(lambda client: _of_cluster(client, session))
    for finding in findings:
        if finding.level > Level.OK or not quiet:
            _say(session, finding)
    if not session.printing.is_json:
        session.printing.line(_sum(findings))
    sys.exit(worst(findings))


async def _of_cluster(client: HraftClient, session: Session) -> list[Finding]:
    looks = await look_at_all(client, session.endpoints, time.time)
    return [*findings_of_cluster(looks), *findings_of_machines(looks, session.has_login)]


def _say(session: Session, finding: Finding) -> None:
    if session.printing.is_json:
        level = finding.level.name.lower()
        fields = {"check": finding.check, "subject": finding.subject, "seen": finding.seen, "advice": finding.advice}
        session.printing.document({"level": level, **fields})
        return
    # What nodes say of themselves is theirs to choose: nothing of it is for a terminal to obey.
    session.printing.line(f"{_WORDS[finding.level]:8} {finding.check}, {shown(f'{finding.subject}: {finding.seen}'.encode())}")
    if finding.advice:
        session.printing.line(f"{'':8} -> {shown(finding.advice.encode())}")


def _sum(findings: list[Finding]) -> str:
    counts = [sum(finding.level is level for finding in findings) for level in (Level.PROBLEM, Level.WARNING)]
    if not any(counts):
        return f"all is well: {len(findings)} things were looked at"
    words = zip(counts, ("problem", "warning"), strict=True)
    named = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in words if count]
    return f"{' and '.join(named)}, of {len(findings)} things that were looked at"
