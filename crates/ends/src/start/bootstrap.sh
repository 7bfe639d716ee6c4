# Starts netwhy where it is visible, or takes a copy of it from standard input; no directory keeps anything of it.
# All lines are joined to one before they are sent: every statement ends in a semicolon. No single quote, backslash
# or exclamation mark stands here, which some login shells read even between single quotes.
# $1 boot id, $2 the program as its own host's /proc shows it, $3 its device and inode, $4 its loader or -,
# $5 its path on its own host, $6 a nonce
say="netwhy-end/1 $6";
if [ -t 0 ]; then echo "$say terminal"; exit 1; fi;
# Where there is no null device, writing to it would make a file of that name.
null=/dev/null; [ -c $null ] || null=/proc/self/fd/2;
loader=yes; [ "$4" = - ] || [ -e "$4" ] || loader=no;
boot=; read -r boot 2>$null < /proc/sys/kernel/random/boot_id;
if [ "$boot" = "$1" ] && [ $loader = yes ]; then
for path in "$2" "$5"; do
if [ -x "$path" ] && [ "$(stat -L -c %d:%i "$path" 2>$null)" = "$3" ]; then
echo "$say same"; exec "$path" end-stdio;
fi;
done;
fi;
[ -e /proc/self/fd/0 ] || { echo "$say no-proc"; exit 1; };
echo "$say copy $(uname -s) $(uname -m) $loader";
size=; sum=; read -r size sum; [ -n "$sum" ] || exit 1;
umask 077; file=;
gone() { [ -z "$file" ] || rm -f "$file"; };
trap gone 0; trap "exit 1" 1 2 13 15;
# A directory will do when a program in it may be started.
for directory in "${TMPDIR:-/tmp}" /tmp /dev/shm /run /var/tmp; do
file=$(mktemp "$directory/netwhy.XXXXXX" 2>$null) || { file=; continue; };
echo : 2>$null > "$file"; chmod 700 "$file";
"$file" 2>$null && break;
rm -f "$file"; file=;
done;
[ -n "$file" ] || { echo "$say no-directory"; exit 1; };
# The file has no name any more before its first byte arrives; descriptor 4 keeps it alive.
exec 3> "$file" 4< "$file"; rm -f "$file"; file=;
head -c "$size" >&3; exec 3>&-;
copy=/proc/self/fd/4;
got=$(wc -c < $copy);
[ "$got" -eq "$size" ] || { echo "$say damaged $got of $size bytes"; exit 1; };
seen=$({ sha256sum < $copy || shasum -a 256 < $copy || openssl dgst -sha256 -r < $copy; } 2>$null);
seen=${seen%% *}; how=checked;
[ -n "$seen" ] || { how=size; seen=$sum; };
[ "$seen" = "$sum" ] || { echo "$say damaged other SHA-256"; exit 1; };
$copy --version > $null || { echo "$say no-start"; exit 1; };
echo "$say run $how"; exec $copy end-stdio;
