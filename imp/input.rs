//! The input of `exec`, as the privileged parent gets it from the unprivileged child (`reader.rs`).

use crate::kv::Kv;
use crate::policy::Denied;

/// What the caller asks for. All of it is the caller's word: only J's signature says more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) j: String,
    /// What the job shell is to read from its standard input, instead of ours.
    pub(crate) shell_input: Option<String>,
}

impl Request {
    /// In the parent: reads the frame, trusting nothing in it.
    ///
    /// # Errors
    /// A text.
    pub(crate) fn from_frame(bytes: &[u8]) -> Result<Request, String> {
        let kv = Kv::decode(bytes).ok_or("the frame of the unprivileged child is malformed")?;
        refuse!(
            kv.boolean("devices") == Some(true) && enforced!("devices"),
            Denied::Unsupported { key: "device containment" }.to_string(),
        );
        let j = kv.text("J").ok_or("the frame of the unprivileged child has no J")?.to_string();
        Ok(Request { j, shell_input: kv.text("shell-input").map(String::from) })
    }
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
