#!/bin/sh
echo "compute task $FLUX_TASK_RANK on node $(flux getattr rank)"
sleep 1
