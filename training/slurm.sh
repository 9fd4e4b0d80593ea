#!/bin/bash
# One job a point, without Dask, in the folder that it is submitted from; points count from 0:
#   sbatch --array=0-7 slurm.sh
# Submit it again after failures: finished points are skipped, others go on from their checkpoints.
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=04:00:00
#SBATCH --output=grid.%A.%a.out
set -euo pipefail
flashsim grid grid_refine_jets pairs/jets --output grids/refine_jets --point "$SLURM_ARRAY_TASK_ID" --resume
