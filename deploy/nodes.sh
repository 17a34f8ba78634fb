#!/bin/sh
# Some nodes of one cluster on this machine, for a trial: they live until this script is interrupted, and go on where they were the next time.
#
#     deploy/nodes.sh COUNT [DIRECTORY] [OPTIONS OF twist hraft]...
#
# The nodes' data and logs are below DIRECTORY (hraft-trial by default), HTTP is at ports 11000, 11001, ... and Raft at 12000, 12001, ...
# HRAFT_HTTP_PORT and HRAFT_RAFT_PORT say other first ports, and HRAFT_TWIST another command than `twist`.
set -eu

count=$1
directory=${2:-hraft-trial}
shift "$(($# < 2 ? $# : 2))"
http_port=${HRAFT_HTTP_PORT:-11000}
raft_port=${HRAFT_RAFT_PORT:-12000}
twist=${HRAFT_TWIST:-twist}
mkdir -p "$directory"

nodes=
stop() {
    trap - EXIT INT TERM
    # Each hands its leadership over while others are left to take it.
    for node in $nodes; do kill "$node" 2>/dev/null || true; done
    wait
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

endpoints=
number=0
while [ "$number" -lt "$count" ]; do
    http=localhost:$((http_port + number))
    join=
    [ "$number" -eq 0 ] || join="--join localhost:$http_port"
    # $twist and $join are words, not one word.
    # shellcheck disable=SC2086
    $twist --log-format text hraft --id "node$number" --haddr "$http" --raddr "localhost:$((raft_port + number))" $join "$@" \
        "$directory/node$number" >"$directory/node$number.log" 2>&1 &
    nodes="$nodes $!"
    endpoints=$endpoints${endpoints:+,}http://$http
    number=$((number + 1))
done

# A node that has started knows its leader.
number=0
for node in $nodes; do
    log=$directory/node$number.log
    until grep -q 'started successfully' "$log"; do
        kill -0 "$node" 2>/dev/null || { tail -n 3 "$log" >&2; exit 1; }
        sleep 0.1
    done
    number=$((number + 1))
done
echo "$count nodes are up; their logs are $directory/node*.log. From another terminal:"
echo "    export HRAFT_ENDPOINTS=$endpoints"
echo "    hraft put greeting hello && hraft get greeting && hraft status"
wait
