//! Blobs on their way to the content store and back (RFC 10), a number of them at once.

use std::collections::VecDeque;

use crate::{ClientError, Errno, Fault, Handle, Payload, Rank, Target, Ticket};
use flux_types::{Blobref, HashKind};

/// Stores blobs. Call [`ContentWriter::settle`] before something refers to them.
pub struct ContentWriter<'a> {
    flux: &'a mut Handle,
    hash: HashKind,
    bypass: bool,
    window: usize,
    under_way: VecDeque<(Ticket, Blobref)>,
    stored: usize,
}

impl<'a> ContentWriter<'a> {
    /// # Errors
    /// Those of asking for `content.hash`; EINVAL if it is not known here.
    pub fn new(flux: &'a mut Handle, bypass: bool, window: usize) -> Result<ContentWriter<'a>, ClientError> {
        let hash = flux.attr("content.hash")?;
        let unknown = || ClientError::Answer(Fault::new(Errno::EINVAL, format!("content.hash={hash}: not known here")));
        let hash = HashKind::from_name(&hash).ok_or_else(unknown)?;
        Ok(ContentWriter { flux, hash, bypass, window, under_way: VecDeque::new(), stored: 0 })
    }

    /// Sends a blob; that it arrived shows later.
    ///
    /// # Errors
    /// Those of this blob and of earlier ones.
    pub fn store(&mut self, blob: &[u8]) -> Result<Blobref, ClientError> {
        let (topic, target) = match self.bypass {
            true => ("content-backing.store", Target::Rank(Rank::ROOT)),
            false => ("content.store", Target::Any),
        };
        while self.under_way.len() >= self.window {
            self.settle_one()?;
        }
        let ticket = self.flux.send(topic, target, Payload::raw(blob.to_vec()), false)?;
        let blobref = self.hash.hash(blob);
        self.under_way.push_back((ticket, blobref));
        self.stored += 1;
        Ok(blobref)
    }

    /// Blobs stored so far, those under way among them.
    pub fn stored(&self) -> usize {
        self.stored
    }

    /// Waits until all are stored.
    ///
    /// # Errors
    /// That of the first that was not.
    pub fn settle(&mut self) -> Result<(), ClientError> {
        while !self.under_way.is_empty() {
            self.settle_one()?;
        }
        Ok(())
    }

    fn settle_one(&mut self) -> Result<(), ClientError> {
        let Some((ticket, blobref)) = self.under_way.pop_front() else { return Ok(()) };
        let message = self.flux.wait(ticket, None)?.ok_or(ClientError::Lost)?;
        if let Some(fault) = Fault::of(&message) {
            return Err(ClientError::Answer(fault));
        }
        if message.payload.as_bytes() != Some(blobref.digest()) {
            let text = format!("{blobref}: the store gave the blob another name");
            return Err(ClientError::Answer(Fault::new(Errno::EPROTO, text)));
        }
        Ok(())
    }
}

/// Loads blobs in order, `window` of them ahead, and hands each to `each`.
///
/// # Errors
/// Those of the calls and of `each`; EIO for bytes that do not have their hash.
pub fn load<E: From<ClientError>>(
    flux: &mut Handle,
    refs: &[Blobref],
    window: usize,
    mut each: impl FnMut(usize, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut asked: VecDeque<Ticket> = VecDeque::new();
    let mut next = refs.iter();
    for (at, blobref) in refs.iter().enumerate() {
        while asked.len() < window.max(1) {
            let Some(blobref) = next.next() else { break };
            let payload = Payload::raw(blobref.digest().to_vec());
            asked.push_back(flux.send("content.load", Target::Any, payload, false)?);
        }
        let ticket = asked.pop_front().expect("each blob was asked for");
        let message = flux.wait(ticket, None)?.ok_or(ClientError::Lost)?;
        if let Some(fault) = Fault::of(&message) {
            return Err(ClientError::Answer(fault).into());
        }
        let bytes = message.payload.as_bytes().unwrap_or_default();
        if blobref.kind().hash(bytes) != *blobref {
            return Err(ClientError::Answer(Fault::new(Errno::EIO, format!("{blobref}: damaged"))).into());
        }
        each(at, bytes)?;
    }
    Ok(())
}
