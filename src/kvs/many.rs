//! `kvs.lookup-many`: keys of the primary namespace, all answered together; what is not in memory is read together, too.

use std::collections::BTreeMap;

use flux_service::{Cx, Fault, Look, Looks, Outcome};
use flux_wire::{Cred, Errno, Message, Payload};

use crate::digest::Digest;
use crate::key;
use crate::limits::LOOKS_MAX;
use crate::lookup::{Found, From, whole};
use crate::park::Job;
use crate::service::{Gathered, Kvs};
use crate::space::PRIMARY;
use crate::tree::{Entry, Stop};

/// One request, checked.
#[derive(Clone, Debug)]
pub(crate) struct Many {
    pub request: Message,
    looks: Vec<Look>,
    /// What is known already: only the rest is looked at again when more has been read.
    found: Vec<Option<flux_service::Found>>,
    /// Blobs that could not be read: the other keys are answered all the same.
    pub unreadable: BTreeMap<Digest, Errno>,
}

impl Kvs {
    pub(crate) fn lookup_many(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let looks = match request.payload.as_local::<Looks>() {
            Some(body) => body.looks.clone(),
            None => request.decode::<Looks>()?.looks,
        };
        if looks.len() > LOOKS_MAX {
            return Err(Fault::new(Errno::E2BIG, format!("more than {LOOKS_MAX} keys in one request")));
        }
        let request = Message { payload: Payload::None, ..request.clone() };
        let many = Many { request, found: vec![None; looks.len()], looks, unreadable: BTreeMap::new() };
        self.run(cx, Job::Many(Box::new(many)), Gathered::new());
        Ok(())
    }

    pub(crate) fn try_many(&mut self, cx: &mut Cx<'_>, many: &mut Many, gathered: &Gathered) -> Result<(), Stop> {
        let mut missing = Vec::new();
        for (look, found) in many.looks.iter().zip(&mut many.found).filter(|(_, found)| found.is_none()) {
            *found = match self.look_at(many.request.cred, look, gathered) {
                Ok(answer) => Some(answer),
                Err(Stop::Need(digests)) => match digests.iter().find_map(|digest| many.unreadable.get(digest)) {
                    Some(errno) => Some(flux_service::Found::Failed(*errno)),
                    None => {
                        missing.extend(digests);
                        None
                    }
                },
                Err(Stop::Fault(errno)) => Some(flux_service::Found::Failed(errno)),
                Err(stop @ Stop::Space(_)) => return Err(stop),
            };
        }
        if !missing.is_empty() {
            return Err(Stop::Need(missing));
        }
        let found = std::mem::take(&mut many.found).into_iter().flatten().collect();
        cx.respond(&many.request, Payload::local(flux_service::FoundAll(found)));
        Ok(())
    }

    fn look_at(&mut self, cred: Cred, look: &Look, gathered: &Gathered) -> Result<flux_service::Found, Stop> {
        let key = key::normalize(&look.key)?;
        let from = From::Space(PRIMARY.into());
        self.find(cred, &from, &key, true, gathered, |content, found, epoch| {
            let blobs = content.blobs(gathered, epoch);
            let entry = match found {
                Found::Nothing => return Err(Errno::ENOENT.into()),
                Found::Root(_) => return Err(Errno::EISDIR.into()),
                Found::Entry(entry) => entry,
            };
            if !look.dir {
                return Ok(flux_service::Found::Value(whole(entry, &blobs)?.as_ref().into()));
            }
            blobs.open(entry)?;
            let Entry::Dir(dir) = entry else { return Err(Errno::ENOTDIR.into()) };
            let is_dir = |entry: &Entry| matches!(entry, Entry::Dir(_) | Entry::DirRef(_) | Entry::DirRefs(_));
            let names = dir.entries.iter().filter(|(_, entry)| is_dir(entry)).map(|(name, _)| name.to_string());
            Ok(flux_service::Found::Names(names.collect()))
        })
    }
}
