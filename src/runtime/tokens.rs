//! Names for what the kernel reports on.

use std::collections::{BTreeSet, VecDeque};

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

/// Tokens with work to do. A round that is not finished goes on where it stopped, so that nobody always comes last.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    waiting: BTreeSet<Token>,
    resume_at: usize,
}

impl Ring {
    pub(crate) fn insert(&mut self, token: Token) {
        self.waiting.insert(token);
    }

    pub(crate) fn remove(&mut self, token: Token) {
        self.waiting.remove(&token);
    }

    pub(crate) fn contains(&self, token: Token) -> bool {
        self.waiting.contains(&token)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes all of them, in the order in which they are to be served.
    pub(crate) fn take_round(&mut self) -> VecDeque<Token> {
        let from_here = self.waiting.split_off(&Token(self.resume_at));
        from_here.into_iter().chain(std::mem::take(&mut self.waiting)).collect()
    }

    /// Puts back what was left of a round; it comes first the next time.
    pub(crate) fn put_back(&mut self, rest: VecDeque<Token>) {
        if let Some(first) = rest.front() {
            self.resume_at = first.0;
        }
        self.waiting.extend(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_round_goes_on_where_it_stopped() {
        let mut ring = Ring::default();
        let all = [1, 2, 3, 4].map(Token);
        let mut served = Vec::new();
        for _ in 0..4 {
            all.into_iter().for_each(|token| ring.insert(token)); // Always busy, all of them.
            let mut round = ring.take_round();
            served.extend(round.drain(..3));
            ring.put_back(round);
        }
        assert_eq!(served, [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4].map(Token));
        ring.take_round();
        assert!(ring.is_empty());
    }
}
