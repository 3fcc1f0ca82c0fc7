//! What the loop needs of a node. Services and everything about them are behind this.

use flux_service::{Completion, FileOp, Mono, Now, ProcessOp, StoreOp, Tag};
use flux_wire::{Cred, Message};

/// A client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Which service an operation belongs to; opaque to the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(pub u32);

#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    Connected { conn: ConnId, cred: Cred },
    Message { conn: ConnId, message: Message },
    Disconnected { conn: ConnId },
    Completion { owner: Owner, tag: Tag, completion: Completion },
    Signal { signum: i32 },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    Send { conn: ConnId, message: Message },
    Close { conn: ConnId },
    Store { owner: Owner, tag: Tag, op: StoreOp },
    Process { owner: Owner, tag: Tag, op: ProcessOp },
    File { owner: Owner, tag: Tag, op: FileOp },
    Stderr { line: String },
    Exit { code: i32 },
}

/// A pure node: input goes in with the time, outputs come out in a list.
pub trait NodeLike {
    fn handle(&mut self, now: Now, input: Input);
    fn end_turn(&mut self, now: Now);
    fn next_timer(&self) -> Option<Mono>;
    fn on_timer(&mut self, now: Now);
    fn take_outputs(&mut self) -> Vec<Output>;
}
