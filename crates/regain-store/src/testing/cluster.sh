# A PostgreSQL cluster that lives as long as the pipe on standard input. Arguments: a directory, a port, where the programs
# are, and settings.
set -eu
dir=$1 port=$2 bin=$3
shift 3
as=
if [ "$(id -u)" = 0 ]; then
    # The server refuses to run as root.
    chown postgres "$dir"
    as="setpriv --reuid=postgres --regid=postgres --clear-groups"
fi
trap 'rm -rf "$dir"' EXIT
cd "$dir"
$as "$bin/initdb" -D "$dir/data" -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$dir/log" 2>&1
for setting; do echo "$setting" >>"$dir/data/postgresql.conf"; done
$as "$bin/postgres" -D "$dir/data" -p "$port" -k "$dir" -h 127.0.0.1 >>"$dir/log" 2>&1 </dev/null &
server=$!
read -r _ || true
# A test may have failed while the server was frozen.
kill -CONT "$server" $(cat "/proc/$server/task/"*/children 2>/dev/null) 2>/dev/null || true
kill -QUIT "$server" 2>/dev/null || true
wait "$server" || true
