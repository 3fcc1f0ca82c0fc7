//! The content service (RFC 10), also under the names of flux-core's backing store.

use std::sync::Arc;

use flux_service::{Cx, Fault, Outcome};
use flux_wire::{Errno, Message, Payload};

use crate::digest::{self, Digest};
use crate::limits::BLOB_LEN_MAX;
use crate::mutate::{Mutation, Origin};
use crate::park::Job;
use crate::record::Item;
use crate::service::{Gathered, Kvs};
use crate::tree::Stop;

impl Kvs {
    pub(crate) fn content_load(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        self.load_blob(cx, request, false)
    }

    pub(crate) fn content_validate(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        self.load_blob(cx, request, true)
    }

    fn load_blob(&mut self, cx: &mut Cx<'_>, request: &Message, validate: bool) -> Outcome {
        let raw = raw_payload(request)?;
        let bad = || Fault::new(Errno::EPROTO, "the payload is not a digest of this instance's hash algorithm");
        let digest = digest::of_raw(self.content.alg, &raw).ok_or_else(bad)?;
        self.run(cx, Job::Load { request: request.clone(), digest, validate }, Gathered::new());
        Ok(())
    }

    pub(crate) fn try_load(
        &mut self,
        cx: &mut Cx<'_>,
        request: &Message,
        digest: &Digest,
        validate: bool,
        gathered: &Gathered,
    ) -> Result<(), Stop> {
        let blobs = self.content.blobs(gathered, self.epoch);
        let bytes = blobs.get(digest).ok_or_else(|| Stop::Need(vec![*digest]))?;
        cx.respond(request, if validate { Payload::None } else { Payload::raw(bytes.clone()) });
        Ok(())
    }

    /// The blob is in the log before it is acknowledged. It need not be on disk: a commit that refers to it is later in
    /// the same log, and syncs both.
    pub(crate) fn content_store(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let bytes = raw_payload(request)?;
        if bytes.len() > BLOB_LEN_MAX {
            return Err(Fault::new(Errno::EFBIG, format!("a blob has at most {BLOB_LEN_MAX} bytes")));
        }
        let digest = self.content.alg.hash(&bytes);
        let origin = Origin::Store { request: request.clone(), digest };
        self.submit(cx, Mutation { item: Item::Blob { bytes }, origin, flags: 0, name: None, sync: false })
    }

    pub(crate) fn content_dropcache(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        self.forget_all();
        cx.respond_empty(request);
        Ok(())
    }
}

fn raw_payload(request: &Message) -> Result<Arc<[u8]>, Fault> {
    match &request.payload {
        Payload::None => Ok([].into()),
        Payload::Raw(bytes) => Ok(bytes.clone()),
        Payload::Json(_) | Payload::Local(_) => Err(Fault::new(Errno::EPROTO, "the payload is JSON, not bytes")),
    }
}
