#!/bin/sh
echo "I/O forwarding task $FLUX_TASK_RANK on node $(flux getattr rank)"
sleep 1
