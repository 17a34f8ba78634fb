"""All planted bugs, in the order in which they are shown."""

from __future__ import annotations

import bugs_of_access as access
import bugs_of_coming_and_going as coming_and_going
import bugs_of_disks as disks
import bugs_of_elections as elections
import bugs_of_logs as logs
import bugs_of_members as members
import bugs_of_services as services
import bugs_of_time as time
import bugs_of_tls as tls
from planted_bug import PlantedBug

BUGS: tuple[PlantedBug, ...] = (
    *elections.ELECTION,
    *logs.LOG,
    *members.LOST_DISKS,
    *members.MEMBERSHIP,
    *members.READS,
    *logs.SNAPSHOTS,
    *elections.TRANSFER,
    *disks.JOURNAL,
    *disks.SNAPSHOT_FILES,
    *disks.DIRECTORY,
    *services.CLIENTS,
    *services.SAVES,
    *services.SNAPSHOTS_ON_THE_WAY,
    *services.MEMBERS,
    *coming_and_going.REMOVED,
    *coming_and_going.FOUNDING,
    *services.PEERS,
    *services.ALARMS,
    *services.STORE,
    *time.LEASES,
    *time.LEASE_READS,
    *time.WATCHES,
    *tls.TLS,
    *access.ACCESS,
)
