#!/usr/bin/env bash
# Makes the recordings in data/ anew from texts.tsv: espeak-ng speaks, sox makes telephone sound of it.
# Needs Debian's espeak-ng and sox. The same versions give the same bytes; README.md names those that were used.
set -euo pipefail
cd "$(dirname "$0")"
export LC_ALL=C.UTF-8

for tool in espeak-ng sox; do
	command -v "$tool" >/dev/null || { echo "make.sh: please install $tool" >&2; exit 1; }
done

raw=$(mktemp -d)
trap 'rm -rf "$raw"' EXIT

# say VOICE SPEED TEXT FILE: speed in words a minute. Silence at both ends goes: the player puts its own pauses.
# -D is no dither, and so the same bytes each time.
say() {
	espeak-ng -v "$1" -s "$2" -g 2 -w "$raw/say.wav" -- "$3"
	sox -D "$raw/say.wav" -r 8000 -c 1 -b 16 "$4" gain -6 highpass 200 lowpass 3400 \
		silence 1 0.01 0.7% reverse silence 1 0.01 0.7% reverse gain -n -3
}

rm -rf data
while IFS=$'\t' read -r folder voice name text; do
	case "$folder" in ''|'#'*) continue ;; esac
	mkdir -p "data/$folder"
	# Single digits and letters are said slower than sentences, as nothing around them helps to understand them.
	speed=130
	if [ ${#name} = 1 ]; then speed=100; fi
	say "$voice" "$speed" "${text%%|*}" "$raw/first.wav"
	parts=("$raw/first.wav")
	if [[ "$text" == *'|'* ]]; then
		sox -D -n -r 8000 -c 1 -b 16 "$raw/pause.wav" trim 0 0.15
		say en-us 130 "${text#*|}" "$raw/second.wav"
		parts+=("$raw/pause.wav" "$raw/second.wav")
	fi
	sox -D "${parts[@]}" -e mu-law "data/$folder/$name.wav" pad 0.02 0.04
done < texts.tsv
