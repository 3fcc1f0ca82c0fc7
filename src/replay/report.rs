//! What came of a trace.

use crate::trace::TraceJob;
use flux_fluxion::{Fluxion, TypeId};
use flux_types::Idset;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Where and when a job ran.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    pub submit: i64,
    pub start: i64,
    pub end: i64,
    pub core_count: u64,
    /// Ranks and how many cores on each.
    pub ranks: Vec<(u32, u64)>,
}

/// The schedule and its figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub placements: BTreeMap<u64, Placement>,
    /// Jobs that can never run or are not allowed, and why.
    pub rejected: BTreeMap<u64, String>,
    /// Jobs that still waited when nothing was left that could happen.
    pub never_started: Vec<u64>,
    submits: BTreeMap<u64, i64>,
    core_count: u64,
    rank_count: u32,
}

/// Shorter run times count as this in a bounded slowdown, in seconds.
const SLOWDOWN_BOUND: f64 = 10.0;

impl Report {
    pub(super) fn new(fluxion: &Fluxion, jobs: &[TraceJob]) -> Report {
        let cores = fluxion.engine().graph.of_type(TypeId::CORE).len() as u64;
        let ranks = fluxion.ranks();
        Report {
            placements: BTreeMap::new(),
            rejected: BTreeMap::new(),
            never_started: Vec::new(),
            submits: jobs.iter().map(|job| (job.id, job.submit)).collect(),
            core_count: cores,
            rank_count: ranks.last().map_or(0, |last| last + 1),
        }
    }

    pub(super) fn place(&mut self, id: u64, start: i64, end: i64, r: &Value) {
        let mut ranks = Vec::new();
        for entry in r["execution"]["R_lite"].as_array().into_iter().flatten() {
            let set = |value: &Value| Idset::parse(value.as_str().unwrap_or("")).unwrap_or_default();
            let cores = set(&entry["children"]["core"]).count() as u64;
            ranks.extend(set(&entry["rank"]).iter().map(|rank| (rank, cores)));
        }
        let core_count = ranks.iter().map(|(_, cores)| cores).sum();
        let submit = self.submits.get(&id).copied().unwrap_or(start);
        self.placements.insert(id, Placement { submit, start, end, core_count, ranks });
    }

    pub(super) fn reject(&mut self, id: u64, why: String) {
        self.rejected.insert(id, why);
    }

    /// Seconds from the first submit to the last end.
    pub fn makespan(&self) -> i64 {
        let first = self.submits.values().min().copied().unwrap_or(0);
        self.placements.values().map(|job| job.end).max().unwrap_or(first) - first
    }

    /// The part of all core seconds that was used, 0 to 1.
    pub fn utilisation(&self) -> f64 {
        let used: f64 = self.placements.values().map(|job| job.core_count as f64 * (job.end - job.start) as f64).sum();
        let all = self.core_count as f64 * self.makespan() as f64;
        if all > 0.0 { used / all } else { 0.0 }
    }

    /// Mean and longest wait, in seconds.
    pub fn waits(&self) -> (f64, i64) {
        let waits: Vec<i64> = self.placements.values().map(|job| job.start - job.submit).collect();
        let mean = waits.iter().sum::<i64>() as f64 / waits.len().max(1) as f64;
        (mean, waits.into_iter().max().unwrap_or(0))
    }

    /// Mean of (wait + run time) / run time, with short run times counted as ten seconds.
    pub fn bounded_slowdown(&self) -> f64 {
        let slowdown = |job: &Placement| {
            let (wait, run) = ((job.start - job.submit) as f64, (job.end - job.start) as f64);
            ((wait + run) / run.max(SLOWDOWN_BOUND)).max(1.0)
        };
        self.placements.values().map(slowdown).fold(0.0, std::ops::Add::add) / self.placements.len().max(1) as f64
    }

    /// The figures, a line each.
    pub fn summary(&self) -> String {
        let (mean, longest) = self.waits();
        format!(
            "jobs: {}\nrejected: {}\nnever started: {}\nmakespan: {} s\nutilisation: {:.1} %\nwait: mean {mean:.1} s, \
             longest {longest} s\nbounded slowdown: {:.2}\n",
            self.placements.len(),
            self.rejected.len(),
            self.never_started.len(),
            self.makespan(),
            self.utilisation() * 100.0,
            self.bounded_slowdown(),
        )
    }

    /// The figures, and where every job ran.
    pub fn to_json(&self) -> Value {
        let (mean, longest) = self.waits();
        let ranks = |job: &Placement| job.ranks.iter().map(|(rank, _)| *rank).collect::<Idset>().to_string();
        let jobs = self.placements.iter().map(|(id, job)| {
            json!({"id": id, "submit": job.submit, "start": job.start, "end": job.end, "cores": job.core_count,
                   "ranks": ranks(job)})
        });
        json!({"makespan": self.makespan(), "utilisation": self.utilisation(), "wait_mean": mean, "wait_max": longest,
               "bounded_slowdown": self.bounded_slowdown(), "jobs": jobs.collect::<Vec<_>>(),
               "rejected": self.rejected.iter().map(|(id, why)| json!({"id": id, "why": why})).collect::<Vec<_>>(),
               "never_started": self.never_started})
    }

    /// A picture of the schedule: time to the right, ranks downwards.
    pub fn to_svg(&self) -> String {
        const WIDTH: f64 = 1000.0;
        const ROW: f64 = 24.0;
        let first = self.submits.values().min().copied().unwrap_or(0);
        let scale = WIDTH / self.makespan().max(1) as f64;
        let cores_per_rank = (self.core_count as f64 / f64::from(self.rank_count.max(1))).max(1.0);
        let height = f64::from(self.rank_count) * ROW;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-size=\"9\">\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#eee\"/>\n"
        );
        // What is left of every rank's row, by time: jobs that share a rank are drawn below one another.
        let mut rows: BTreeMap<u32, Vec<(i64, f64, f64)>> = BTreeMap::new();
        for (id, job) in &self.placements {
            for (rank, cores) in &job.ranks {
                let share = (*cores as f64 / cores_per_rank).min(1.0);
                let drawn = rows.entry(*rank).or_default();
                let mut from = 0.0;
                while let Some(other) = drawn
                    .iter()
                    .find(|(end, top, bottom)| *end > job.start && *top < from + share - 1e-9 && *bottom > from + 1e-9)
                {
                    from = other.2;
                }
                drawn.push((job.end, from, from + share));
                let (x, width) = ((job.start - first) as f64 * scale, (job.end - job.start) as f64 * scale);
                let y = f64::from(*rank) * ROW + from * ROW;
                let hue = id.wrapping_mul(47) % 360;
                writeln!(
                    out,
                    "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"hsl({hue},60%,70%)\" \
                     stroke=\"#333\" stroke-width=\"0.5\"><title>job {id}</title></rect>",
                    share * ROW
                )
                .expect("a string takes all");
            }
        }
        out + "</svg>\n"
    }
}
