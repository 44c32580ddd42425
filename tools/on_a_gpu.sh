#!/bin/bash
# What a GPU is for when one is lent for ten minutes: jobs in order of worth. Each goes on where it was cut, and each run
# that ends writes its rows at once.
#
#   tools/on_a_gpu.sh pack CAMVID   on your machine: .gpu/ with photos, weights and packages, under 40 MB, not committed
#   tools/on_a_gpu.sh run OUT       on the GPU's machine, from a copy of this folder with .gpu/; nothing is installed or fetched;
#                                   OUT keeps half-done runs, so choose a folder that is still there when you go on
#   tools/on_a_gpu.sh trial OUT     the same on a CPU, two steps a run: does it work?
set -u
usage() { sed -n '2,8p' "$0"; exit 2; }
[ $# -eq 2 ] || usage
OUT=$(realpath -m "$2") TRIAL="" WHEELS=()
cd "$(dirname "$0")/.." || exit
PACK=$PWD/.gpu PYTHON=$(command -v python || command -v python3)

pack() {
    "$PYTHON" tools/gpu_pack.py pack "$1" "$PACK" || exit
    # what a machine with PyTorch, torchvision, timm and pandas may lack; pure Python, for Python 3.12
    "$PYTHON" -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 -d "$PACK/wheels" \
        tyro typeguard docstring-parser datasets dill multiprocess seaborn accelerate || exit
    du -sh "$PACK"
}

study() {  # name, seconds, runs side by side, seeds that are still wanted
    local file=$OUT/$1.toml
    sed -e "s#\"\.\./#\"$DATA/#" -e "s/^seeds = \[0.*/seeds = [$4]/" "studies/$1.toml" > "$file"
    if [ "$TRIAL" ]; then
        sed -i -e 's/^optim.steps = .*/optim.steps = 2/' -e 's/^optim.batch_size = .*/optim.batch_size = 2/' \
            -e 's/^optim.precision = .*/optim.precision = "no"/' -e 's/^data.workers = .*/data.workers = 0/' -e 's/^seeds = .*/seeds = [0]/' "$file"
        echo 'data.crop = [112, 112]' > "$file.crop" && sed -i "/^\[set\]/r $file.crop" "$file"
    fi
    timeout -s INT "$2" "$PYTHON" -m collab_seg study "$file" --root "$DATA/camvid" --out "$OUT/$1" --jobs "$3" --no-progress
    cp "$OUT/$1/$1".csv "$OUT/" 2> /dev/null
}

jobs() {
    mkdir -p "$OUT"
    for wheel in "$PACK"/wheels/*.whl; do  # those that are missing here; a wheel is a zip file that Python can read
        name=$(basename "$wheel" | cut -d- -f1)
        "$PYTHON" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$name') is None)" || WHEELS+=("$wheel")
    done
    for wheel in ${WHEELS[@]+"${WHEELS[@]}"}; do "$PYTHON" -m zipfile -e "$wheel" "$OUT/.site"; done
    export PYTHONPATH=$PWD:$OUT/.site HF_HUB_OFFLINE=1 COLLAB_SEG_CACHE=$OUT/.cache PYTHONUNBUFFERED=1
    DATA=$OUT/.data
    [ -d "$DATA/camvid/valannot" ] || "$PYTHON" tools/gpu_pack.py unpack "$PACK" "$DATA" || exit
    # on an H200 three runs of the first side by side took 205 seconds, four of the second 140. The rows of both in
    # results/studies began with a CNN that took our images for others' (see the log): replace them, do not add to them
    study gpu_pretrained_pair 420 3 "0, 1"
    study gpu_few 150 4 0
    [ "$TRIAL" ] || timeout 90 "$PYTHON" tools/benchmark_gpu.py "$OUT/benchmark_gpu.csv"
    "$PYTHON" -m collab_seg bench unlabelled kept step --rounds 3 ${TRIAL:+--quick} --out "$OUT/bench.csv"
}

case $1 in
    pack) pack "$OUT" ;;
    run) jobs ;;
    trial) TRIAL=yes; jobs ;;
    *) usage ;;
esac
