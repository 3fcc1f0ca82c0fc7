//! Finished jobs in the store: one line each, so that a restart reads a hundred texts instead of a hundred thousand directories.
//!
//! `job-index.N` holds JSON lines. Its first says up to which id (`after`) all jobs that are not in `open` are in the texts before
//! it; `{"late": ID}` tells of a job of a smaller id that came nevertheless. All other lines are finished jobs as [`Line`] has
//! them, which tells all that is listed of them. `job-index.gone` has the ids of those that were purged, a line each.

use std::sync::Arc;

use flux_types::JobId;
use flux_wire::Local;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub(crate) const DIRECTORY: &str = "job-index";
pub(crate) const GONE: &str = "job-index.gone";

/// The key of text number `n`.
pub(crate) fn key(n: u64) -> String {
    format!("{DIRECTORY}.{n}")
}

/// The first line of a text.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Header {
    pub(crate) after: u64,
    pub(crate) open: Vec<u64>,
}

/// What the manager keeps of a finished job.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(crate) struct Core {
    pub(crate) id: u64,
    pub(crate) userid: u32,
    /// Microseconds since the epoch at which the job became inactive.
    pub(crate) clean: u64,
    /// How it ended, in the manager's encoding.
    pub(crate) bits: u8,
}

/// A line that is no finished job.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Other {
    Header(Header),
    Late { late: u64 },
}

/// A finished job. Texts are as in the listing; what is not known is left out.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Line {
    pub(crate) id: u64,
    pub(crate) userid: u32,
    pub(crate) clean: u64,
    pub(crate) bits: u8,
    pub(crate) urgency: u8,
    pub(crate) priority: i64,
    /// Bits of the states that it has been in.
    pub(crate) seen: u32,
    /// When each state was entered, from submit to inactive, in microseconds since the epoch.
    pub(crate) times: [u64; 7],
    pub(crate) success: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) waitstatus: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cwd: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) queue: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bank: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ranks: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nodelist: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ntasks: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ncores: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nnodes: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) duration: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expiration: Option<f64>,
    /// Severity, type and note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exception: Option<(i64, Box<str>, Box<str>)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dependencies: Option<Vec<Box<str>>>,
}

impl Line {
    /// With its newline.
    pub(crate) fn encode(&self) -> String {
        let mut text = serde_json::to_string(self).expect("numbers and texts are JSON");
        text.push('\n');
        text
    }
}

/// Whether a line is of a finished job: these begin with the id.
pub(crate) fn id_of(line: &str) -> Option<JobId> {
    let digits = line.strip_prefix("{\"id\":")?.split(',').next()?;
    digits.parse().ok().map(JobId)
}

/// One text, told to the list. What is not there any more is left out.
#[derive(Clone, Debug)]
pub(crate) struct Finished(pub(crate) String);

impl Local for Finished {
    fn to_json(&self) -> Value {
        json!({"finished": self.0})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart_and_read_as_they_were_written() {
        let line: Line = serde_json::from_str(
            r#"{"id":7,"userid":1,"clean":5,"bits":1,"urgency":16,"priority":16,"seen":127,"times":[1,2,3,4,5,6,7],"success":true,"name":"true"}"#,
        )
        .unwrap();
        let text = line.encode();
        assert_eq!(id_of(&text), Some(JobId(7)));
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
        assert_eq!(serde_json::from_str::<Core>(&text).unwrap(), Core { id: 7, userid: 1, clean: 5, bits: 1 });
        let header = Header { after: 9, open: vec![3] };
        let text = serde_json::to_string(&header).unwrap();
        assert_eq!((id_of(&text), serde_json::from_str(&text).unwrap()), (None, Other::Header(header)));
        assert_eq!(serde_json::from_str::<Other>(r#"{"late":4}"#).unwrap(), Other::Late { late: 4 });
        assert!(serde_json::from_str::<Other>("{}").is_err());
    }
}
