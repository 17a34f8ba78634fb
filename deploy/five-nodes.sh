#!/bin/sh
# A cluster of five nodes on this machine, for a trial: deploy/five-nodes.sh [DIRECTORY] [OPTIONS OF twist hraft]... until Ctrl-C; see nodes.sh.
exec "$(dirname "$0")/nodes.sh" 5 "$@"
