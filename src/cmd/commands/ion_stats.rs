//! `flux ion-resource stats`.

use flux_fluxion::dump_spaced;
use serde_json::{Value, json};

use super::ion_resource::call;
use crate::frame::CmdError;
use crate::frame::context::Context;

/// What a group of matches is told by: the line's text, where the number is, its unit.
type Row = (&'static str, &'static [&'static str], &'static str);

const SUCCEEDED: &[Row] = &[
    ("Num. of Total Jobs Successfully Matched: ", &["njobs"], ""),
    ("Num. of Jobs Successfully Matched Since Reset: ", &["njobs-reset"], ""),
    ("Jobid corresponding to max match time: ", &["max-match-jobid"], ""),
    ("Match iterations corresponding to max match time: ", &["max-match-iters"], ""),
    ("Min. Successful Match Time: ", &["stats", "min"], " Secs"),
    ("Max. Successful Match Time: ", &["stats", "max"], " Secs"),
    ("Avg. Successful Match Time: ", &["stats", "avg"], " Secs"),
    ("Successful Match Variance: ", &["stats", "variance"], " Secs^2"),
];
const FAILED: &[Row] = &[
    ("Num. of Jobs with Failed Matches: ", &["njobs"], ""),
    ("Num. of Jobs with Failed Matches Since Reset: ", &["njobs-reset"], ""),
    ("Jobid corresponding to max match time: ", &["max-match-jobid"], ""),
    ("Match iterations corresponding to max match time: ", &["max-match-iters"], ""),
    ("Min. Match Time of Failed Matches: ", &["stats", "min"], " Secs"),
    ("Max. Match Time of Failed Matches: ", &["stats", "max"], " Secs"),
    ("Avg. Match Time of Failed Matches: ", &["stats", "avg"], " Secs"),
    ("Match Variance of Failed Matches: ", &["stats", "variance"], " Secs^2"),
];
const WHOLE: &[Row] = &[
    ("Num. of Vertices: ", &["V"], ""),
    ("Num. of Edges: ", &["E"], ""),
    ("Num. of Vertices by Rank: ", &["by_rank"], ""),
    ("Graph Load Time: ", &["load-time"], " Secs"),
    ("Graph Upime: ", &["graph-uptime"], " Secs"),
    ("Time Since Stats Reset: ", &["time-since-reset"], " Secs"),
];

pub(super) fn run(cx: &mut Context) -> Result<(), CmdError> {
    let answer = call(&mut cx.open()?, "sched-fluxion-resource.stats-get", json!({}))?;
    let tables = [(&answer, WHOLE), (&answer["match"]["succeeded"], SUCCEEDED), (&answer["match"]["failed"], FAILED)];
    for (of, rows) in tables {
        for (text, path, unit) in rows {
            let value = path.iter().fold(of, |value: &Value, key| &value[*key]);
            cx.line(format_args!("{text} {}{unit}", dump_spaced(value)))?;
        }
    }
    Ok(())
}
