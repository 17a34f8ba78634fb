#!/bin/sh
# A cluster of three nodes on this machine, for a trial: deploy/three-nodes.sh [DIRECTORY] [OPTIONS OF twist hraft]... until Ctrl-C; see nodes.sh.
exec "$(dirname "$0")/nodes.sh" 3 "$@"
