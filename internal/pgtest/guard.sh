# Runs one PostgreSQL server for the process at the other end of standard input. However that process ends, the
# input ends too. Then this script removes the server and its folder.
#
#   sh -c "$(cat guard.sh)" guard BINARIES PARENT [MEMORY]
#
# The folder F of the server is in PARENT, or in MEMORY if that exists and has 2 GB to spare. In a container it
# often has 64 MB.
#
# It prints "folder F" when F/data exists, and "ended" whenever the server has ended. It reads one line with a
# port for each start, then one line (any) for the stop. Other output says why it gave up.

exec 3<&0 </dev/null 2>&1
trap '' PIPE
umask 077
bin=$1
parent=$2
if [ -d "$3" ] && [ "$(df -Pk "$3" | awk 'NR == 2 { print $4 }')" -gt 2000000 ]; then
	parent=$3
fi
folder=$(mktemp -d "$parent/sherpa-pg-XXXXXX") || exit
trap 'rm -rf "$folder"' EXIT

for locale in C.UTF-8 C; do
	"$bin/initdb" -D "$folder/data" -U sherpa -A trust --no-sync -E UTF8 --locale=$locale \
		>"$folder/log" 2>&1 && break
done
if [ ! -e "$folder/data/postgresql.conf" ]; then
	cat "$folder/log"
	exit
fi
echo "folder $folder"

while read -r port <&3; do
	: >"$folder/running"
	"$bin/postgres" -D "$folder/data" -p "$port" >"$folder/log" 2>&1 3<&- &
	server=$!
	{
		read -r _ <&3
		# More than once: a server that is starting ignores the signal.
		while [ -e "$folder/running" ]; do
			kill -QUIT $server
			kill -CONT $server # a test may have frozen it
			sleep 0.1
		done
	} >/dev/null 2>&1 &
	wait $server
	rm "$folder/running"
	echo ended
	wait
done
