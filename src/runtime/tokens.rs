//! Names for what the kernel reports on.

use mio::Token;

pub(crate) const SIGNALS: Token = Token(0);
pub(crate) const WAKER: Token = Token(1);
pub(crate) const LISTENER: Token = Token(2);

/// Gives out tokens that are never used twice, so that a late event cannot reach the wrong one.
#[derive(Debug)]
pub(crate) struct Tokens {
    last: usize,
}

impl Tokens {
    pub(crate) fn new() -> Tokens {
        Tokens { last: LISTENER.0 }
    }

    pub(crate) fn next(&mut self) -> Token {
        self.last += 1;
        Token(self.last)
    }
}
