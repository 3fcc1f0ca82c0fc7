//! What flux-core 0.88 makes of options: `flux submit --env=-* --rlimit=-* --cwd=/ --dry-run OPTIONS true x`.

/// Options, and the jobspec or the error.
pub(super) const ROWS: &[(&str, &str)] = &[
    (
        r#"-t 1"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 60.0, "environment": {}, "cwd": "/"}}, "version": 1}"#,
    ),
    (
        r#"-t 1h"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 3600.0, "environment": {}, "cwd": "/"}}, "version": 1}"#,
    ),
    (
        r#"-t 0.5"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 30.0, "environment": {}, "cwd": "/"}}, "version": 1}"#,
    ),
    (
        r#"--time-limit=0"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0.0, "environment": {}, "cwd": "/"}}, "version": 1}"#,
    ),
    (
        r#"--signal=@30s"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "shell": {"options": {"signal": {"signum": 10, "timeleft": 30.0}}}}}, "version": 1}"#,
    ),
    (
        r#"--signal=USR2"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "shell": {"options": {"signal": {"signum": 12, "timeleft": 60}}}}}, "version": 1}"#,
    ),
    (
        r#"--signal=9@1m"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "shell": {"options": {"signal": {"signum": 9, "timeleft": 60.0}}}}}, "version": 1}"#,
    ),
    (
        r#"--signal=SIGTERM@2"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "shell": {"options": {"signal": {"signum": 15, "timeleft": 2.0}}}}}, "version": 1}"#,
    ),
    (
        r#"--taskmap=cyclic:2"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "shell": {"options": {"taskmap": {"scheme": "cyclic", "value": "2"}}}}}, "version": 1}"#,
    ),
    (
        r#"--taskmap=block"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "shell": {"options": {"taskmap": {"scheme": "block", "value": ""}}}}}, "version": 1}"#,
    ),
    (
        r#"--taskmap=manual:[[0,1,1,1]]"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "shell": {"options": {"taskmap": {"scheme": "manual", "value": "[[0,1,1,1]]"}}}}}, "version": 1}"#,
    ),
    (
        r#"--dependency=afterok:f1"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "dependencies": [{"scheme": "afterok", "value": "f1"}]}}, "version": 1}"#,
    ),
    (
        r#"--dependency=singleton"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "dependencies": [{"scheme": "singleton", "value": ""}]}}, "version": 1}"#,
    ),
    (
        r#"--dependency=afterok:1?x=2&y=z"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "dependencies": [{"scheme": "afterok", "value": "1", "x": 2, "y": "z"}]}}, "version": 1}"#,
    ),
    (
        r#"--requires=a,b --requires=host:x"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "constraints": {"and": [{"properties": ["a", "b"]}, {"hostlist": ["x"]}]}}}, "version": 1}"#,
    ),
    (
        r#"--requires=-host:x"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "constraints": {"not": [{"hostlist": ["x"]}]}}}, "version": 1}"#,
    ),
    (
        r#"--requires=^a"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "constraints": {"properties": ["^a"]}}}, "version": 1}"#,
    ),
    (
        r#"-o verbose -o a.b=3 -o x=str"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "shell": {"options": {"verbose": 1, "a": {"b": 3}, "x": "str"}}}}, "version": 1}"#,
    ),
    (
        r#"-o pty.interactive -o cpu-affinity=per-task"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "shell": {"options": {"pty": {"interactive": 1}, "cpu-affinity": "per-task"}}}}, "version": 1}"#,
    ),
    (
        r#"-S a.b=1 -S user.x=y -S system.z=[1]"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "a": {"b": 1}, "z": [1]}, "user": {"x": "y"}}, "version": 1}"#,
    ),
    (
        r#"-S attributes.user.q"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/"}, "user": {"q": 1}}, "version": 1}"#,
    ),
    (
        r#"-u"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "shell": {"options": {"output": {"stdout": {"buffer": {"type": "none"}}, "stderr": {"buffer": {"type": "none"}}, "batch-timeout": 0.05}, "input": {"batch-timeout": 0.0}}}}}, "version": 1}"#,
    ),
    (
        r#"-l --output=foo"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "shell": {"options": {"output": {"stdout": {"type": "file", "path": "foo", "label": true}}}}}}, "version": 1}"#,
    ),
    (
        r#"-l --output=foo --error=bar"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "shell": {"options": {"output": {"stdout": {"type": "file", "path": "foo", "label": true}, "stderr": {"type": "file", "path": "bar", "label": true}}}}}}, "version": 1}"#,
    ),
    (
        r#"--output=none --error=kvs"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/"}}, "version": 1}"#,
    ),
    (
        r#"--input=/dev/null"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "shell": {"options": {"input": {"stdin": {"type": "file", "path": "/dev/null"}}}}}}, "version": 1}"#,
    ),
    (
        r#"--job-name=hi -q batch -B bank"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/", "job": {"name": "hi"}, "queue": "batch", "bank": "bank"}}, "version": 1}"#,
    ),
    (
        r#"-N2"#,
        r#"{"resources": [{"type": "node", "count": 2, "exclusive": true, "with": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}]}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/"}}, "version": 1}"#,
    ),
    (
        r#"-N2 -x"#,
        r#"{"resources": [{"type": "node", "count": 2, "exclusive": true, "with": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}]}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/"}}, "version": 1}"#,
    ),
    (
        r#"-N2 -n3"#,
        r#"{"resources": [{"type": "node", "count": 2, "with": [{"type": "slot", "count": 2, "with": [{"type": "core", "count": 1}], "label": "task"}]}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"total": 3}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/"}}, "version": 1}"#,
    ),
    (
        r#"-N2 -n4 -x"#,
        r#"{"resources": [{"type": "node", "count": 2, "exclusive": true, "with": [{"type": "slot", "count": 2, "with": [{"type": "core", "count": 1}], "label": "task"}]}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/"}}, "version": 1}"#,
    ),
    (
        r#"-n4 -c2 -g1"#,
        r#"{"resources": [{"type": "slot", "count": 4, "with": [{"type": "core", "count": 2}, {"type": "gpu", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/"}}, "version": 1}"#,
    ),
    (
        r#"-n 0"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/"}}, "version": 1}"#,
    ),
    (r#"-N 0"#, r#"flux-submit: ERROR: node count must be an integer >= 1 (if set)"#),
    (r#"-x"#, r#"flux-submit: ERROR: exclusive can only be set with a node count"#),
    (
        r#"--cores=4"#,
        r#"{"resources": [{"type": "slot", "count": 4, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/"}}, "version": 1}"#,
    ),
    (
        r#"--cores=4 -N2"#,
        r#"{"resources": [{"type": "node", "count": 2, "with": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 2}], "label": "task"}]}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/"}}, "version": 1}"#,
    ),
    (r#"--cores=3 -N2"#, r#"flux-submit: ERROR: number of cores must be evenly divisible by node count"#),
    (r#"--cores=0"#, r#"flux-submit: ERROR: ncores must be an integer >= 1"#),
    (
        r#"--cores=4 --tasks-per-core=2"#,
        r#"{"resources": [{"type": "slot", "count": 4, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "shell": {"options": {"per-resource": {"type": "core", "count": 2}}}, "environment": {}, "cwd": "/"}}, "version": 1}"#,
    ),
    (
        r#"--cores=4 -n2"#,
        r#"flux-submit: ERROR: Per-resource options can't be used with per-task options. (See --help for details)"#,
    ),
    (
        r#"-N2 --tasks-per-node=2 --gpus-per-node=1"#,
        r#"{"resources": [{"type": "node", "count": 2, "exclusive": true, "with": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}, {"type": "gpu", "count": 1}], "label": "task"}]}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "shell": {"options": {"per-resource": {"type": "node", "count": 2}}}, "environment": {}, "cwd": "/"}}, "version": 1}"#,
    ),
    (r#"--tasks-per-node=0 -N1"#, r#"flux-submit: ERROR: --tasks-per-node must be >= 1"#),
    (
        r#"--tasks-per-node=1 --tasks-per-core=1"#,
        r#"flux-submit: ERROR: Do not specify both the number of tasks per node and per core"#,
    ),
    (r#"--gpus-per-node=1"#, r#"flux-submit: ERROR: --gpus-per-node requires --nodes"#),
    (
        r#"-N2 --gpus-per-node=0"#,
        r#"{"resources": [{"type": "node", "count": 2, "exclusive": true, "with": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}]}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/"}}, "version": 1}"#,
    ),
    (
        r#"--env=FOO=bar"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {"FOO": "bar"}, "cwd": "/"}}, "version": 1}"#,
    ),
    (
        r#"--env=FOO={{id}} --env=BAR=x$HOME"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {"BAR": "x/root"}, "cwd": "/", "shell": {"options": {"env-expand": {"FOO": "{{id}}"}}}}}, "version": 1}"#,
    ),
    (
        r#"--env=A=1 --env=B=$A$A --env-remove=A"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {"B": "11"}, "cwd": "/"}}, "version": 1}"#,
    ),
    (
        r#"--cwd=/tmp"#,
        r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["true", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/tmp"}}, "version": 1}"#,
    ),
    (r#"-N 2 -n 1"#, r#"flux-submit: ERROR: node count must not be greater than task count"#),
];
