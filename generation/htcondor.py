"""Generate on an HTCondor pool: python htcondor.py --jobs 50 -- --input 'gen_*.root' --output simulated/."""

from __future__ import annotations

import argparse
import subprocess
import sys

from dask_jobqueue import HTCondorCluster

parser = argparse.ArgumentParser(description="Start Dask workers as HTCondor jobs and generate on them.")
parser.add_argument("--jobs", type=int, default=10, help="most jobs at a time")
parser.add_argument("--flavour", default="longlunch", help="CERN's name of a job's longest time")
parser.add_argument("arguments", nargs="+", help="arguments of 'flashsim generate', after --")
options = parser.parse_args()

# One core, one thread, one file at a time; the folder must be on a file system that all nodes see.
cluster = HTCondorCluster(
    cores=1,
    processes=1,
    memory="3GB",
    disk="2GB",
    python=sys.executable,
    job_extra_directives={"+JobFlavour": f'"{options.flavour}"', "getenv": "true"},
)
cluster.adapt(minimum=1, maximum=options.jobs)
with cluster:
    command = ["flashsim", "generate", "--dask", cluster.scheduler_address, *options.arguments]
    sys.exit(subprocess.run(command, check=False).returncode)
