#!/usr/bin/env bash
# Make the runs behind the committed boards, one after another, the ablations and the pages. What is done is not repeated, so it
# can be stopped and started again. About an hour and a half on two cores.
#
#     bash baselines/boards.sh .venv/bin/ecgbench [PTB-XL folder]
set -euo pipefail
trap 'echo "stopped: runs/boards.log says why" >&2' ERR
ecgbench=$1
ptbxl=${2:-../shared/ecg/ptbxl}
runs=runs
added=()

one() {  # SOURCE ENCODER TEXT SEED [more options]
    local source=$1 encoder=$2 text=$3 seed=$4
    shift 4
    local id
    id=$("$ecgbench" run --data "$source" --encoder "$encoder" --text "$text" --seed "$seed" --out "$runs" --json "$@" 2>>"$runs/boards.log" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["run_id"])')
    last=$id
    added+=(--add "$runs/$id")
    echo "$(date +%H:%M:%S) $source $encoder $text seed $seed $* -> $id"
}

asked() {  # SOURCE RUN_ID [more options]: a run that is done, asked otherwise
    local source=$1 id=$2
    shift 2
    local evaluation
    evaluation=$("$ecgbench" evaluate "$runs/$id" --data "$source" --json "$@" 2>>"$runs/boards.log" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["run_id"])')
    added+=(--add "$runs/$id/evaluations/$evaluation")
    echo "$(date +%H:%M:%S) $source $id $* -> $evaluation"
}

ablation() {  # NAME [more options]: every cell of a grid, and its page of what each choice is worth
    local name=$1
    shift
    local plan
    plan=$("$ecgbench" sweep "baselines/$name/grid.yaml" --out "$runs" --json "$@" 2>>"$runs/boards.log")
    while read -r id; do
        added+=(--add "$runs/$id")
    done < <(python3 -c 'import json, sys; [print(cell["run_id"]) for cell in json.load(sys.stdin)["cells"]]' <<<"$plan")
    [ $# -gt 0 ] || cp "$runs/boards/$name/effects.md" "baselines/$name/effects.md"
    echo "$(date +%H:%M:%S) $name"
}

mkdir -p "$runs"
sources=(synth98)
[ -d "$ptbxl" ] && sources=("ptbxl:$ptbxl" synth98) || echo "$ptbxl is not there: the page of the PTB-XL records is not made"
for source in "${sources[@]}"; do
    for seed in 0 1 2; do
        one "$source" resnet1d18 use-multilingual "$seed"
        asked "$source" "$last" --tasks superclass,rhythm,mitbih --prompts members
        one "$source" resnet1d18 random "$seed"
    done
    for humble in linear stats; do
        for seed in 0 1 2; do
            one "$source" "$humble" use-multilingual "$seed"
        done
    done
    one "$source" resnet1d18 char-ngram 0
    one "$source" resnet1d18 use-multilingual 0 --control frozen-random
    one "$source" resnet1d18 use-multilingual 0 --control supervised
done
for source in "${sources[@]}"; do
    for text in use-multilingual random char-ngram; do
        one "$source" vit1d-tiny "$text" 0 --epochs 4  # a step of it costs five of the ResNet's
    done
done
data=()  # the grids name both data sets; where PTB-XL lies elsewhere or nowhere, they are told
if [ ! -d "$ptbxl" ] || [ "$ptbxl" != ../shared/ecg/ptbxl ]; then
    for source in "${sources[@]}"; do data+=(--data "$source"); done
fi
for name in strong ablation-text ablation-encoder ablation-loss ablation-language; do
    ablation "$name" "${data[@]}"
done
"$ecgbench" leaderboard "${added[@]}"
