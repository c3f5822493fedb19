#!/usr/bin/env bash
# Make the runs behind the committed boards, one after another, and the pages. What is done is not repeated, so it can be
# stopped and started again. About 50 minutes on two cores.
#
#     bash baselines/boards.sh .venv/bin/ecgbench [PTB-XL folder]
set -euo pipefail
ecgbench=$1
ptbxl=${2:-../shared/ecg/ptbxl}
runs=runs

one() {  # SOURCE ENCODER TEXT SEED [more options]
    local source=$1 encoder=$2 text=$3 seed=$4
    shift 4
    local id
    id=$("$ecgbench" run --data "$source" --encoder "$encoder" --text "$text" --seed "$seed" --out "$runs" --json "$@" 2>>"$runs/boards.log" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["run_id"])')
    "$ecgbench" leaderboard --add "$runs/$id" >/dev/null
    echo "$(date +%H:%M:%S) $source $encoder $text seed $seed $* -> $id"
}

mkdir -p "$runs"
sources=(synth98)
[ -d "$ptbxl" ] && sources+=("ptbxl:$ptbxl") || echo "$ptbxl is not there: the page of the PTB-XL records is not made"
for source in "${sources[@]}"; do
    for seed in 0 1 2; do
        for text in use-multilingual random char-ngram; do
            one "$source" resnet1d18 "$text" "$seed"
        done
    done
    for text in use-multilingual random char-ngram; do
        one "$source" vit1d-tiny "$text" 0
    done
    for encoder in resnet1d18 vit1d-tiny; do
        one "$source" "$encoder" use-multilingual 0 --control frozen-random
        one "$source" "$encoder" use-multilingual 0 --control supervised
    done
done
"$ecgbench" leaderboard
