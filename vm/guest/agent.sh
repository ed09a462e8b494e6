#!/bin/bash
# The stand-in for the SSM agent, on the machine's virtio-serial port. As the agent does, it writes the script to a file,
# runs it by its own first line with the parameters in its environment, and hands back exit code, stdout and stderr.
#   in:  ID SECONDS SIZE SIZE, a line end; then that many bytes of environment (NAME=VALUE lines) and of script
#   out: ID CODE SIZE SIZE, a line end; then stdout and stderr   (137: it took longer than SECONDS and was killed)
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
modprobe virtio_pci
modprobe virtio_console
port=''
for _ in {1..200}; do
	for each in /dev/vport*p1; do [ ! -e "$each" ] || port=$each; done
	[ -z "$port" ] || break
	sleep 0.05
done
exec 3<>"$port"
folder=/run/stand-in-agent
mkdir -p "$folder"
install -m 700 /dev/null "$folder/_script.sh"
take() { dd bs=65536 iflag=fullblock,count_bytes count="$1" status=none <&3; }

printf 'ready 0 0 0\n' >&3
while read -r id seconds env_size script_size <&3; do
	take "$env_size" >"$folder/environment"
	take "$script_size" >"$folder/_script.sh"
	mapfile -t environment <"$folder/environment"
	env "${environment[@]}" timeout -s KILL "$seconds" sh -c "$folder/_script.sh" </dev/null >"$folder/stdout" 2>"$folder/stderr" 3>&-
	code=$?
	# What is still writing must not put the sizes wrong.
	cp "$folder/stdout" "$folder/stdout.end"
	cp "$folder/stderr" "$folder/stderr.end"
	# shellcheck disable=SC2207
	sizes=($(stat -c %s "$folder/stdout.end" "$folder/stderr.end"))
	printf '%s %s %s %s\n' "$id" "$code" "${sizes[0]}" "${sizes[1]}" >&3
	cat "$folder/stdout.end" "$folder/stderr.end" >&3
done
