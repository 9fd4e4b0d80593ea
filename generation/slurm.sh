#!/bin/bash
# One job a file, without Dask, in the folder that it is submitted from; files.txt has a path a line:
#   sbatch --array=1-$(wc -l < files.txt)%50 slurm.sh files.txt
# Submit it again after failures: finished files are skipped.
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=3G
#SBATCH --time=02:00:00
#SBATCH --output=generate.%A.%a.out
set -euo pipefail
file=$(sed -n "${SLURM_ARRAY_TASK_ID}p" "$1")
flashsim generate --input "$file" --output simulated --threads 1 --resume
