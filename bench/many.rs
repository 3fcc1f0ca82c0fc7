//! Instances of many brokers: how soon they are up, how fast an event reaches all, what jobs lose, and the PMI server.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flux_client::{ClientError, Handle};
use flux_shell::pmi::{Server, Step};
use flux_types::Taskmap;
use serde_json::json;

use crate::Instance;
use crate::measure::{Figure, Unit, median};

/// Brokers that an event is sent to.
const LISTENERS: usize = 64;

pub(crate) fn all(flux: &Path, jobs: u32) -> Result<Vec<Figure>, String> {
    let figure = |what: &str, target, unit, value| Figure { what: what.to_owned(), target, unit, value: Some(value) };
    let start = |size: &str| {
        let mut command = Command::new(flux);
        command.args(["start", size, "true"]).stdin(Stdio::null());
        command
    };
    let eight = median(5, || start("-s8"))?;
    let [one, four] = ["-s1", "-s4"].map(|size| job_rate(flux, size, jobs));
    Ok(vec![
        figure("8 brokers up and down", "150 ms", Unit::Milliseconds, eight),
        figure("event at 64 brokers", "10 ms", Unit::Milliseconds, event_ms(flux)?),
        figure("jobs on 4 brokers, of one broker's", "90 %", Unit::Percent, four? / one? * 100.0),
        figure("PMI exchange of 1,024 ranks", "1000 ms", Unit::Milliseconds, pmi_ms(16, 64)?),
    ])
}

fn job_rate(flux: &Path, size: &str, jobs: u32) -> Result<f64, String> {
    let instance = Instance::of(flux, &[size])?;
    let begin = Instant::now();
    instance.output(&["submit", "--quiet", &format!("--cc=1-{jobs}"), "--wait", "true"])?;
    Ok(f64::from(jobs) / begin.elapsed().as_secs_f64())
}

/// From the call of the publisher until the last of the listeners, one at each broker, has the event; the median.
fn event_ms(flux: &Path) -> Result<f64, String> {
    let instance = Instance::of(flux, &[&format!("-s{LISTENERS}")])?;
    let at = |rank: usize| instance.uri.replace("local-0", &format!("local-{rank}"));
    let listeners = || -> Result<f64, ClientError> {
        let mut handles = (0..LISTENERS).map(|rank| Handle::open_uri(&at(rank))).collect::<Result<Vec<_>, _>>()?;
        for handle in &mut handles {
            handle.subscribe("bench.")?;
        }
        let mut publisher = Handle::open_uri(&at(LISTENERS - 1))?;
        let mut spans: Vec<Duration> = Vec::new();
        for _ in 0..21 {
            let begin = Instant::now();
            publisher.publish("bench.tick", json!({"a": 1}))?;
            for handle in &mut handles {
                handle.next_event(Some(Duration::from_secs(10)))?;
            }
            spans.push(begin.elapsed());
        }
        spans.sort();
        Ok(spans[spans.len() / 2].as_secs_f64() * 1e3)
    };
    listeners().map_err(|error| error.to_string())
}

/// Every rank puts a value, all meet, every rank gets the values of all: what the servers of the shells spend on it.
fn pmi_ms(shells: usize, tasks: usize) -> Result<f64, String> {
    let size = shells * tasks;
    let map = Taskmap::parse(&format!("[[0,{shells},{tasks},1]]")).map_err(|error| error.to_string())?;
    let mut servers: Vec<Server> =
        (0..shells).map(|_| Server::new("bench".into(), size, tasks, Some(&map), None)).collect();
    let begin = Instant::now();
    let mut out = Vec::new();
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (shell, server) in servers.iter_mut().enumerate() {
        for task in 0..tasks {
            let rank = shell * tasks + task;
            server.line(task as u32, &format!("cmd=put kvsname=bench key=card.{rank} value=host{rank}:4711"), &mut out);
            if server.line(task as u32, "cmd=barrier_in", &mut out) == Step::Barrier {
                all.extend(server.fresh().clone());
            }
        }
    }
    for server in &mut servers {
        server.release(all.clone(), &mut out);
        for task in 0..tasks as u32 {
            out.clear();
            for rank in 0..size {
                server.line(task, &format!("cmd=get kvsname=bench key=card.{rank}"), &mut out);
            }
            if out.len() != size || !out.iter().all(|(_, answer)| answer.contains("rc=0")) {
                return Err("the PMI server does not know what was put".to_owned());
            }
        }
    }
    Ok(begin.elapsed().as_secs_f64() * 1e3)
}
