//! Traces: the Standard Workload Format, or JSON lines of our own.

use serde_json::{Value, json};
use std::collections::BTreeSet;

/// One job of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceJob {
    pub id: u64,
    /// Seconds since the trace began.
    pub submit: i64,
    /// Seconds it really runs.
    pub run_time: i64,
    /// RFC 30: 0 to 31, and 0 holds it.
    pub urgency: u8,
    /// RFC 14, as text, which takes least room; its duration is what the user said.
    pub jobspec: String,
}

/// Of a job of which nothing is said (RFC 30).
const URGENCY: u8 = 16;

/// A jobspec for whole nodes, or for cores anywhere.
fn jobspec(nodes: Option<u64>, cores: u64, duration: f64) -> String {
    let slot = json!({"type": "slot", "count": 1, "label": "task", "with": [{"type": "core", "count": cores}]});
    let resources = match nodes {
        Some(nodes) => json!([{"type": "node", "count": nodes, "exclusive": true, "with": [slot]}]),
        None => json!([{"type": "slot", "count": cores, "label": "task", "with": [{"type": "core", "count": 1}]}]),
    };
    json!({"version": 1, "resources": resources, "attributes": {"system": {"duration": duration}},
           "tasks": [{"command": ["job"], "slot": "task", "count": {"per_slot": 1}}]})
    .to_string()
}

/// The jobs of a trace, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    pub jobs: Vec<TraceJob>,
    /// Jobs of a Standard Workload Format that never ran, or of which it is not said when, for how long and on how much.
    pub left_out: usize,
}

/// Reads a trace: a line that begins as JSON is a job of ours, another one is in Standard Workload Format.
///
/// # Errors
/// The line that is neither, or that names a job once more.
pub fn parse_trace(text: &str) -> Result<Trace, String> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let (mut trace, mut ids) = (Trace::default(), BTreeSet::new());
    for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with([';', '#'])) {
        let job = match line.starts_with('{') {
            true => parse_json_line(at as u64, line).map(Some).map_err(|error| format!("line {at}: {error}"))?,
            false => {
                parse_swf_line(line).ok_or_else(|| format!("line {at}: not a job in the Standard Workload Format"))?
            }
        };
        match job {
            None => trace.left_out += 1,
            Some(job) if ids.insert(job.id) => trace.jobs.push(job),
            Some(job) => return Err(format!("line {at}: there is a job {} already", job.id)),
        }
    }
    Ok(trace)
}

/// `{"id", "submit", "runtime", "duration", "urgency", "nodes" | "cores" | "jobspec"}`; all but the size may be absent.
fn parse_json_line(at: u64, line: &str) -> Result<TraceJob, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let number = |key: &str| match &value[key] {
        Value::Null => Ok(None),
        value => value.as_f64().filter(|number| *number >= 0.0).map(Some).ok_or_else(|| format!("bad {key}")),
    };
    let run_time = number("runtime")?.unwrap_or(1.0);
    let duration = number("duration")?.unwrap_or(run_time);
    let (nodes, cores) = (number("nodes")?, number("cores")?);
    let jobspec = match (&value["jobspec"], nodes, cores) {
        (Value::Object(_), None, None) => value["jobspec"].to_string(),
        (Value::Null, Some(nodes), cores) => jobspec(Some(nodes as u64), cores.unwrap_or(1.0) as u64, duration),
        (Value::Null, None, Some(cores)) => jobspec(None, cores as u64, duration),
        _ => return Err("a job has nodes, cores or a jobspec".into()),
    };
    let urgency = number("urgency")?.or(number("priority")?).unwrap_or(f64::from(URGENCY));
    let urgency = Some(urgency as u8).filter(|_| urgency <= 31.0).ok_or("urgency is a number from 0 to 31")?;
    Ok(TraceJob {
        id: number("id")?.map_or(at, |id| id as u64),
        submit: number("submit")?.unwrap_or(0.0) as i64,
        run_time: run_time.ceil() as i64,
        urgency,
        jobspec,
    })
}

/// Fields: job, submit, wait, run time, allocated processors, cpu time, memory, requested processors, requested time ...
/// -1 stands for what is not known. `None`: no such line; `Some(None)`: a job that cannot be played.
fn parse_swf_line(line: &str) -> Option<Option<TraceJob>> {
    let fields: Vec<f64> = line.split_ascii_whitespace().map(|field| field.parse().ok()).collect::<Option<_>>()?;
    let is_line = fields.len() >= 5 && fields.iter().all(|field| field.is_finite());
    is_line.then(|| swf_job(&fields))
}

fn swf_job(fields: &[f64]) -> Option<TraceJob> {
    let field = |at: usize| fields.get(at).copied().filter(|value| *value >= 0.0);
    let cores = field(7).or(field(4)).filter(|cores| *cores >= 1.0)?;
    let run_time = field(3)?;
    let asked = field(8).filter(|asked| *asked > 0.0).unwrap_or(run_time.max(1.0));
    Some(TraceJob {
        id: field(0)? as u64,
        submit: field(1)? as i64,
        // A job is killed when its time is up.
        run_time: run_time.min(asked).ceil() as i64,
        urgency: URGENCY,
        jobspec: jobspec(None, cores as u64, asked),
    })
}
