#!/bin/sh
# A hunt in shards, all on this machine, joined at the end:
#
#   shards.sh 4 found hunt --seeds 1..100
#
# KTRIAL is the program; without it, the ktrial of the path.
set -u
shards=$1 out=$2
shift 2
ktrial=${KTRIAL:-ktrial}
mkdir -p "$out"

i=0
pids=
while [ "$i" -lt "$shards" ]; do
	"$ktrial" "$@" --shard "$i/$shards" --jobs 1 --out "$out/part-$i" >"$out/part-$i.txt" 2>&1 &
	pids="$pids $!"
	i=$((i + 1))
done
for pid in $pids; do
	wait "$pid" # merge says how each ended
done
exec "$ktrial" merge "$out"/part-*/ --out "$out" --junit "$out/junit.xml"
