//! Two of flux-core's built-in plugins: `.history` (`flux job last`) and `.post-event` (`flux post-job-event`).

use flux_service::{Cx, Fault, Outcome};
use flux_types::JobId;
use flux_wire::{Errno, Message, Payload};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::JobManager;
use crate::body::WireId;

#[derive(Deserialize)]
struct Get {
    slice: String,
}

#[derive(Deserialize)]
struct Post {
    id: WireId,
    name: String,
    context: Option<Map<String, Value>>,
}

/// A Python slice, `[start:stop:step]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slice {
    start: Option<i64>,
    stop: Option<i64>,
    step: i64,
}

impl Slice {
    fn parse(text: &str) -> Option<Slice> {
        let fields: Vec<&str> = text.strip_prefix('[')?.strip_suffix(']')?.split(':').collect();
        let number = |text: &str| if text.is_empty() { Some(None) } else { text.parse::<i64>().ok().map(Some) };
        let (start, stop, step) = match fields[..] {
            [start, stop] => (start, stop, ""),
            [start, stop, step] => (start, stop, step),
            _ => return None,
        };
        let step = number(step)?.unwrap_or(1);
        (step != 0).then_some(Slice { start: number(start)?, stop: number(stop)?, step })
    }

    /// The indices that the slice takes of a list of `len`, in its order.
    fn indices(self, len: usize) -> Vec<usize> {
        let len = len as i64;
        let (lowest, highest) = if self.step > 0 { (0, len) } else { (-1, len - 1) };
        let place = |at: i64| (if at < 0 { at.saturating_add(len) } else { at }).clamp(lowest, highest);
        let start = self.start.map_or(if self.step > 0 { lowest } else { highest }, place);
        let stop = self.stop.map_or(if self.step > 0 { highest } else { lowest }, place);
        let mut out = Vec::new();
        let mut at = start;
        while if self.step > 0 { at < stop } else { at > stop } {
            out.push(at as usize);
            at = at.saturating_add(self.step);
        }
        out
    }
}

impl JobManager {
    /// The requester's jobs, the last submitted first, active or not.
    pub(super) fn history_get(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Get = request.decode()?;
        let slice = Slice::parse(&body.slice)
            .ok_or_else(|| Fault::new(Errno::EINVAL, "could not parse python-style slice expression"))?;
        let userid = request.cred.userid;
        let active = self.jobs.values().filter(|job| job.userid == userid).map(|job| job.id);
        let mut ids: Vec<JobId> = active.chain(self.archive.ids_of(userid)).collect();
        ids.sort_unstable_by_key(|id| std::cmp::Reverse(id.0));
        let jobs: Vec<u64> = slice.indices(ids.len()).into_iter().map(|at| ids[at].0).collect();
        cx.respond(request, json!({"jobs": jobs}));
        Ok(())
    }

    /// An event of the owner's own, in the eventlog of an active job.
    pub(super) fn post_event(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Post = request.decode()?;
        let id = body.id.id();
        if !self.jobs.contains_key(&id) {
            return Err(Fault::new(Errno::ENOENT, "no such active job"));
        }
        self.post(cx, id, &body.name, body.context);
        self.ordered(cx, request, Payload::None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_take_what_python_s_take() {
        let rows: [(&str, Option<&[usize]>); 12] = [
            ("[:]", Some(&[0, 1, 2])),
            ("[0:2]", Some(&[0, 1])),
            ("[::-1]", Some(&[2, 1, 0])),
            ("[1:]", Some(&[1, 2])),
            ("[-2:]", Some(&[1, 2])),
            ("[::2]", Some(&[0, 2])),
            ("[5:9]", Some(&[])),
            ("[-9:9223372036854775807:9223372036854775807]", Some(&[0])),
            ("[0]", None),
            ("[::0]", None),
            ("[x:]", None),
            ("", None),
        ];
        for (text, want) in rows {
            assert_eq!(Slice::parse(text).map(|slice| slice.indices(3)).as_deref(), want, "{text}");
        }
    }
}
