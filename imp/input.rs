//! The input of `exec`, as the privileged parent gets it from the unprivileged child (`reader.rs`).

use crate::kv::Kv;

/// What the caller asks for. All of it is the caller's word: only J's signature says more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) j: String,
    /// The user whom J names, as the child says; `None` if it could not read J.
    pub(crate) userid: Option<u32>,
    /// What the job shell is to read from its standard input, instead of ours.
    pub(crate) shell_input: Option<String>,
    /// The devices that it may open, and no others; `None`: all.
    pub(crate) devices: Option<String>,
}

impl Request {
    /// In the parent: reads the frame, trusting nothing in it.
    ///
    /// # Errors
    /// A text.
    pub(crate) fn from_frame(bytes: &[u8]) -> Result<Request, String> {
        let kv = Kv::decode(bytes).ok_or("the frame of the unprivileged child is malformed")?;
        let j = kv.text("J").ok_or("the frame of the unprivileged child has no J")?.to_string();
        let userid = kv.integer("userid").and_then(|id| u32::try_from(id).ok());
        let text = |key| kv.text(key).map(String::from);
        Ok(Request { j, userid, shell_input: text("shell-input"), devices: text("devices") })
    }
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
