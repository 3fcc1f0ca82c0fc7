//! `flux top`: an instance at a glance, kept up to date on the terminal.

use std::fmt::Write as _;
use std::io::{IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{Handle, Payload, Target};
use flux_sys::terminal::RawMode;
use flux_types::{JobId, JobState, ResourceSet, format_fsd_listing};
use serde_json::Value;

use super::info::{JobInfo, Shared};
use super::query::{self, Query};
use super::stats::Stats;
use crate::commands::resource::status_topic;
use crate::format::{Format, cut_line};
use crate::frame::args::{option, optional_word, text};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::limits::TOP_DEPTH_MAX;

/// How often everything is asked for again.
const PERIOD_MS: u32 = 2000;
const LIST: &str = "{id.f58:>12} ?:{queue:<8.8} {username:<8.8} {status_abbrev:>2.2} {ntasks:>6h} {nnodes:>6h} \
                    {runtime!F:>8h} {name}";
const HELP: &str = "j/k: move   enter: open an instance   backspace: back   q: quit";
/// Lines above the list.
const HEAD_LINES: usize = 7;

pub(crate) fn command() -> Command {
    Command::new("top")
        .arg(option(
            "color",
            None,
            "WHEN",
            "Colorize output when supported; WHEN can be 'always', 'never', or 'auto' (default)",
        ))
        .arg(option("queue", Some('q'), "NAME", "Limit status to jobs belonging to a specific queue"))
        .arg(optional_word("TARGET", "The address or job id of another instance"))
}

/// What one look at an instance shows.
struct View {
    stats: Stats,
    resources: Vec<(&'static str, usize, usize)>,
    expiration: f64,
    jobs: Vec<JobInfo>,
}

/// An instance on the screen; those above it wait below in the stack.
struct Level {
    flux: Handle,
    title: String,
    selected: usize,
}

pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    if !std::io::stdin().is_terminal() {
        return Err(CmdError::new("stdin is not a terminal"));
    }
    let mut flux = cx.open()?;
    let mut title = ".".to_owned();
    if let Some(target) = text(matches, "TARGET") {
        flux = open_target(&mut flux, target)?;
        title = target.to_owned();
    }
    let queues: Vec<String> = text(matches, "queue").map(str::to_owned).into_iter().collect();
    let mut levels = vec![Level { flux, title, selected: 0 }];
    look(&mut levels[0].flux, &queues)?; // What is wrong is said before the screen is taken.
    let raw = RawMode::new(std::io::stdin())?;
    print!("\x1b[?1049h\x1b[?25l");
    let ended = watch(&mut levels, &queues);
    print!("\x1b[?25h\x1b[?1049l");
    std::io::stdout().flush()?;
    drop(raw);
    ended.map(|()| ExitCode::SUCCESS)
}

fn open_target(flux: &mut Handle, target: &str) -> Result<Handle, CmdError> {
    let Ok(id) = JobId::parse(target) else { return Ok(Handle::open_uri(target)?) };
    let attributes = super::fields::attributes(["uri", "status"]);
    let (jobs, _) = query::by_id(flux, &[(target, id)], &attributes, &Shared::new(false))?;
    let uri = jobs.first().and_then(JobInfo::reachable_uri);
    let uri = uri.ok_or_else(|| CmdError::new(format!("{target}: no instance that can be reached from here")))?;
    Ok(Handle::open_uri(&uri)?)
}

fn watch(levels: &mut Vec<Level>, queues: &[String]) -> Result<(), CmdError> {
    let mut stdin = std::fs::File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    loop {
        let depth = levels.len();
        let Some(level) = levels.last_mut() else { return Ok(()) };
        let view = match look(&mut level.flux, queues) {
            Ok(view) => view,
            Err(_) if depth > 1 => {
                levels.pop(); // That instance has ended.
                continue;
            }
            Err(error) => return Err(error),
        };
        level.selected = level.selected.min(view.jobs.len().saturating_sub(1));
        let size = flux_sys::terminal::size(std::io::stdout()).ok();
        let (rows, columns) = size.map_or((24, 80), |size| (usize::from(size.rows), usize::from(size.columns)));
        let screen = draw(&view, &level.title, level.selected, rows, columns)?;
        let mut out = std::io::stdout();
        out.write_all(screen.as_bytes())?;
        out.flush()?;
        let ready = flux_sys::fd::poll(&[(stdin.as_fd(), false)], Some(PERIOD_MS));
        if !ready.is_ok_and(|ready| ready[0].readable || ready[0].hangup) {
            continue;
        }
        let mut keys = [0; 16];
        let count = stdin.read(&mut keys)?;
        match &keys[..count] {
            [] | b"q" | b"\x03" | b"\x1b" => return Ok(()),
            b"j" | b"\x1b[B" => level.selected += 1,
            b"k" | b"\x1b[A" => level.selected = level.selected.saturating_sub(1),
            b"\r" | b"\n" if depth < TOP_DEPTH_MAX => {
                let job = view.jobs.get(level.selected);
                let uri = job.and_then(JobInfo::reachable_uri);
                if let (Some(job), Some(Ok(flux))) = (job, uri.map(|uri| Handle::open_uri(&uri))) {
                    let title = format!("{}/{}", level.title, crate::jobid::shown(job.id()));
                    levels.push(Level { flux, title, selected: 0 });
                }
            }
            b"\x7f" | b"\x08" | b"h" if depth > 1 => drop(levels.pop()),
            _ => {}
        }
    }
}

fn look(flux: &mut Handle, queues: &[String]) -> Result<View, CmdError> {
    let stats = Stats::fetch(flux, queues)?;
    let answer = flux.call(&status_topic(), Target::Any, Payload::None).unwrap_or(Value::Null);
    let set = |key: &str| ResourceSet::from_value(&answer[key]).unwrap_or_default();
    let (all, allocated) = (set("all"), set("allocated"));
    let resources = vec![
        ("nodes", allocated.nnodes(), all.nnodes()),
        ("cores", allocated.ncores(), all.ncores()),
        ("gpus", allocated.ngpus(), all.ngpus()),
    ];
    let expiration = answer["all"]["execution"]["expiration"].as_f64().unwrap_or(0.0);
    let mut query = Query { queues: queues.to_vec(), max_entries: 512, ..Query::default() };
    query.filter("run,cleanup")?;
    let fields = Format::parse(LIST, super::fields::headings(LIST))?;
    let attributes = super::fields::attributes(fields.fields().into_iter().chain(["uri"]));
    let jobs = query.run(flux, &attributes, &Shared::new(false))?;
    Ok(View { stats, resources, expiration, jobs })
}

/// A bar of `width` columns, `used` of `total` full.
fn bar(used: usize, total: usize, width: usize) -> String {
    let full = (used * width).checked_div(total).unwrap_or(0).min(width);
    format!("[{}{}]", "|".repeat(full), " ".repeat(width - full))
}

fn draw(view: &View, title: &str, selected: usize, rows: usize, columns: usize) -> Result<String, CmdError> {
    let mut lines = Vec::new();
    let left = match view.expiration {
        at if at > 0.0 => format_fsd_listing((at - crate::frame::timefmt::now()).max(0.0)),
        _ => "∞".to_owned(),
    };
    lines.push(format!("flux-top {title}   time left {left}"));
    let width = columns.saturating_sub(40).clamp(8, 40);
    for (name, used, total) in &view.resources {
        lines.push(format!("{name:>6} {} {used}/{total}", bar(*used, *total, width)));
    }
    let Stats { pending, running, successful, failed, canceled, .. } = &view.stats;
    lines.push(format!(
        "{pending} pending  {running} running  {successful} complete  {failed} failed  {canceled} canceled"
    ));
    lines.push(HELP.to_owned());
    let format = Format::parse(LIST, super::fields::headings(LIST))?.fitted(&view.jobs, false)?;
    lines.push(format!("\x1b[7m{}\x1b[0m", cut_line(format.header(), Some(columns))));
    debug_assert_eq!(lines.len(), HEAD_LINES);
    let room = rows.saturating_sub(HEAD_LINES + 1).max(1);
    let first = (selected + 1).saturating_sub(room);
    for (at, job) in view.jobs.iter().enumerate().skip(first).take(room) {
        let line = cut_line(format.line(job)?, Some(columns.saturating_sub(1)));
        lines.push(match (at == selected, job.uri().is_some() && job.state() == Some(JobState::Run)) {
            (true, _) => format!("\x1b[1m>{line}\x1b[0m"),
            (false, true) => format!(" \x1b[34m{line}\x1b[0m"),
            (false, false) => format!(" {line}"),
        });
    }
    let mut screen = "\x1b[H".to_owned();
    for line in lines {
        let _ = write!(screen, "{line}\x1b[K\r\n");
    }
    screen.push_str("\x1b[J");
    Ok(screen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Row;
    use serde_json::json;

    #[test]
    fn the_screen_shows_counts_bars_and_the_selected_job() {
        let shared = Shared::new(false);
        let job = |id: u64| {
            let job = json!({"id": id, "userid": 0, "state": 16, "name": format!("job{id}"), "ntasks": 1, "nnodes": 1,
                "t_run": shared.now - 5.0});
            JobInfo::new(job, &shared).unwrap()
        };
        let view = View {
            stats: Stats { pending: 3, running: 2, ..Stats::default() },
            resources: vec![("nodes", 1, 2), ("cores", 2, 4), ("gpus", 0, 0)],
            expiration: 0.0,
            jobs: (1..30).map(job).collect(),
        };
        assert_eq!(view.jobs[0].field("name").map(|name| name.to_string()).as_deref(), Some("job1"));
        let screen = draw(&view, ".", 20, 24, 80).unwrap();
        assert!(screen.contains("time left ∞") && screen.contains("3 pending  2 running"), "{screen}");
        assert!(screen.contains(&format!("cores [{}{}] 2/4", "|".repeat(20), " ".repeat(20))), "{screen}");
        assert!(screen.contains("\x1b[1m>") && screen.contains("job21") && !screen.contains("job22\x1b"), "{screen}");
        assert!(screen.lines().count() <= 24);
        assert_eq!(bar(1, 0, 4), "[    ]");
    }
}
