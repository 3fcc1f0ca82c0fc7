use super::*;

/// Command, options, and what flux-core 0.88 printed for them, each run with
/// `--env=-* --rlimit=-* --cwd=/w --dry-run` and the command `app x`.
const VECTORS: &str = include_str!("build_vectors.tsv");

fn number<'a>(options: &'a str, names: [&str; 2]) -> Option<u32> {
    let value = |word: &'a str| names.iter().find_map(|name| word.strip_prefix(name));
    options.split_whitespace().find_map(value).map(|text| text.parse().unwrap())
}

fn plain() -> SubmitOptions {
    SubmitOptions { cwd: Some("/w".to_owned()), ..SubmitOptions::default() }
}

fn submit(text: &str) -> Result<Jobspec, JobspecError> {
    let shape = SubmitShape {
        ntasks: number(text, ["-n", "--ntasks="]),
        nodes: number(text, ["-N", "--nodes="]),
        cores_per_task: number(text, ["-c", "--cores-per-task="]),
        gpus_per_task: number(text, ["-g", "--gpus-per-task="]),
        exclusive: text.contains("-x"),
        cores: number(text, ["--cores=", "--cores="]),
        tasks_per_node: number(text, ["--tasks-per-node=", "--tasks-per-node="]),
        tasks_per_core: number(text, ["--tasks-per-core=", "--tasks-per-core="]),
        gpus_per_node: number(text, ["--gpus-per-node=", "--gpus-per-node="]),
    };
    let mut spec = Jobspec::from_command(vec!["app".to_owned(), "x".to_owned()], &shape)?;
    spec.apply(&plain())?;
    Ok(spec)
}

fn alloc(text: &str) -> Result<Jobspec, JobspecError> {
    let shape = NestShape {
        nslots: number(text, ["-n", "--nslots="]),
        cores_per_slot: number(text, ["-c", "--cores-per-slot="]),
        gpus_per_slot: number(text, ["-g", "--gpus-per-slot="]),
        nodes: number(text, ["-N", "--nodes="]),
        exclusive: text.contains("-x"),
    };
    let mut spec = Jobspec::from_nest(&[], &[], &shape, false)?;
    spec.apply_nest(&plain())?;
    Ok(spec)
}

#[test]
fn requests_are_those_of_flux_core_byte_for_byte() {
    for line in VECTORS.lines() {
        let [command, options, want] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("bad row {line:?}") };
        let built = if command == "submit" { submit(options) } else { alloc(options) };
        let got = built.as_ref().map_or_else(ToString::to_string, Jobspec::encode_spaced);
        assert_eq!(got, want, "{command} {options}");
        if let Ok(spec) = built {
            assert_eq!(spec.check_v1_shape(), Ok(()), "{command} {options}");
            assert!(spec.summary().is_ok(), "{command} {options}");
            assert_eq!(Jobspec::parse(want), Ok(spec));
        }
    }
}

#[test]
fn every_option_stands_where_flux_core_puts_it() {
    let mut spec = Jobspec::from_command(vec!["app".to_owned(), "x".to_owned()], &SubmitShape::default()).unwrap();
    let text = |text: &str| Some(text.to_owned());
    let map = |value: Value| value.as_object().unwrap().clone();
    spec.apply(&SubmitOptions {
        duration: Some(300.0),
        environment: map(json!({"X": "1"})),
        cwd: text("/w"),
        name: text("j"),
        input: text("/i"),
        output: text("/o"),
        error: text("/e"),
        label_io: true,
        unbuffered: true,
        queue: text("q"),
        bank: text("b"),
        env_expand: map(json!({"Y": "{{id}}"})),
        rlimits: map(json!({"nofile": 10})),
        signal: Some(json!({"signum": 10, "timeleft": 30.0})),
        taskmap: Some(json!({"scheme": "cyclic", "value": "2"})),
        dependencies: vec![crate::dependency::Dependency::parse_uri("afterok:1?x=1").unwrap().to_value()],
        constraints: Some(crate::constraint::query::parse("a,b", &crate::constraint::query::REQUIRES).unwrap()),
        shell_options: vec![("foo.bar".to_owned(), 2.into())],
        attributes: vec![("foo".to_owned(), 1.into())],
        ..SubmitOptions::default()
    })
    .unwrap();
    // Printed by flux-core 0.88 for the same options.
    let want = r#"{"resources": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}], "tasks": [{"command": ["app", "x"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 300.0, "environment": {"X": "1"}, "cwd": "/w", "job": {"name": "j"}, "shell": {"options": {"input": {"stdin": {"type": "file", "path": "/i"}, "batch-timeout": 0.0}, "output": {"stdout": {"type": "file", "path": "/o", "label": true, "buffer": {"type": "none"}}, "stderr": {"type": "file", "path": "/e", "label": true, "buffer": {"type": "none"}}, "batch-timeout": 0.05}, "env-expand": {"Y": "{{id}}"}, "rlimit": {"nofile": 10}, "signal": {"signum": 10, "timeleft": 30.0}, "taskmap": {"scheme": "cyclic", "value": "2"}, "foo": {"bar": 2}}}, "queue": "q", "bank": "b", "dependencies": [{"scheme": "afterok", "value": "1", "x": 1}], "constraints": {"properties": ["a", "b"]}, "foo": 1}}, "version": 1}"#;
    assert_eq!(spec.encode_spaced(), want);
}

#[test]
fn a_batch_job_carries_its_script_and_configuration() {
    let args: Vec<String> = ["{{tmpdir}}/script", "a", "b"].map(str::to_owned).to_vec();
    let shape = NestShape { nslots: Some(2), nodes: Some(2), ..NestShape::default() };
    let mut spec = Jobspec::from_nest(&[], &args, &shape, true).unwrap();
    spec.apply_nest(&SubmitOptions {
        name: Some("s.sh".to_owned()),
        output: Some("flux-{{id}}.out".to_owned()),
        constraints: Some(json!({"ranks": ["0"]})),
        nest_files: vec![
            ("conf.json".to_owned(), json!({"mode": 33152, "data": {"resource": {"noverify": true}}})),
            ("script".to_owned(), json!({"mode": 33216, "data": "#!/bin/sh\necho hi\n", "encoding": "utf-8"})),
        ],
        ..plain()
    })
    .unwrap();
    let want = r##"{"resources": [{"type": "node", "count": 2, "with": [{"type": "slot", "count": 1, "with": [{"type": "core", "count": 1}], "label": "task"}]}], "tasks": [{"command": ["flux", "broker", "-c{{tmpdir}}/conf.json", "{{tmpdir}}/script", "a", "b"], "slot": "task", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 0, "environment": {}, "cwd": "/w", "job": {"name": "s.sh"}, "shell": {"options": {"output": {"stdout": {"type": "file", "path": "flux-{{id}}.out"}}, "per-resource": {"type": "node"}, "mpi": "none", "exit-timeout": "none"}}, "files": {"conf.json": {"mode": 33152, "data": {"resource": {"noverify": true}}}, "script": {"mode": 33216, "data": "#!/bin/sh\necho hi\n", "encoding": "utf-8"}}, "constraints": {"ranks": ["0"]}}}, "version": 1}"##;
    assert_eq!(spec.encode_spaced(), want);
}

#[test]
fn what_cannot_be_a_job_is_refused() {
    assert!(Jobspec::from_command(Vec::new(), &SubmitShape::default()).is_err());
    let mut spec = submit("").unwrap();
    for duration in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(spec.apply(&SubmitOptions { duration: Some(duration), ..plain() }).is_err());
    }
    let attributes = vec![("duration.of".to_owned(), "long".into())];
    assert!(spec.apply(&SubmitOptions { attributes, ..plain() }).is_err());
}
