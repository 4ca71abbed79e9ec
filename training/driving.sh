#!/usr/bin/env bash
# Makes models/driving.safetensors as it is shipped: about an hour on two cores. Runs that were cut off go on.
#
# The first network keeps the drives 07 and 10 out, and says what the recipe is worth. The second begins with its weights, takes 07 in
# and learns from the first one's probabilities on drives without labels; 10 stays out.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
work=${1:-target/driving}
mkdir -p "$work"
$python training/train.py driving --seed 1 --steps 1000 --output "$work/first.safetensors"
$python training/evaluate.py driving --model "$work/first.safetensors"
$python training/train.py driving --seed 3 --steps 900 --rate 1.5e-3 --leave-out 10 --begin models/checkpoints/first-1.pt \
    --teachers "$work/first.safetensors" --teaching 0.5
$python training/evaluate.py driving --drives 10
$python training/evaluate.py driving --split nuscenes
