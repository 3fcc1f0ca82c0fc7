//! The progress line of many submissions.

/// Where a job is, as far as progress goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Pending,
    Running,
    Complete,
    Failed,
}

/// How many jobs are where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) total: u64,
    pub(crate) done: u64,
    by_phase: [u64; 4],
}

impl Counts {
    pub(crate) fn added(&mut self) {
        self.total += 1;
        self.by_phase[Phase::Pending as usize] += 1;
    }

    pub(crate) fn moved(&mut self, from: Phase, to: Phase) {
        self.by_phase[from as usize] = self.by_phase[from as usize].saturating_sub(1);
        self.by_phase[to as usize] += 1;
    }

    /// A job that nobody waits for.
    pub(crate) fn submitted(&mut self) {
        self.added();
        self.done();
    }

    pub(crate) fn done(&mut self) {
        self.done += 1;
    }

    fn percent(&self) -> f64 {
        if self.total == 0 { 0.0 } else { 100.0 * self.done as f64 / self.total as f64 }
    }
}

/// The line itself, `width` columns wide; `seconds` since the first submission.
pub(crate) fn line(counts: &Counts, width: usize, seconds: f64, with_rate: bool) -> String {
    let [pending, running, complete, failed] = counts.by_phase;
    let before = format!("PD:{pending:<3} R:{running:<3} CD:{complete:<3} F:{failed:<3} ");
    let rate = if seconds > 0.0 { counts.done as f64 / seconds } else { 0.0 };
    let right = if with_rate { format!("{rate:4.1} job/s") } else { clock(seconds) };
    let after = format!(" {:5.1}% {right}", counts.percent());
    let bar = width.saturating_sub(before.len() + after.len() + 2);
    let full = (bar as f64 * counts.percent() / 100.0) as usize;
    format!("{before}|{}{}|{after}", "█".repeat(full), " ".repeat(bar - full))
}

fn clock(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_counts_jobs_and_fills_the_width() {
        let mut counts = Counts::default();
        for _ in 0..4 {
            counts.added();
        }
        counts.moved(Phase::Pending, Phase::Running);
        counts.moved(Phase::Running, Phase::Complete);
        counts.moved(Phase::Pending, Phase::Failed);
        counts.done();
        counts.done();
        let text = line(&counts, 60, 75.0, false);
        assert_eq!(text, "PD:2   R:0   CD:1   F:1   |████████         |  50.0% 0:01:15");
        assert!(line(&counts, 60, 0.5, true).ends_with(" 4.0 job/s"));
        assert!(!line(&Counts::default(), 0, 0.0, true).is_empty());
    }
}
