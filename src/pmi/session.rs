//! The conversation with the PMI server that `PMI_FD` leads to (PMI-1's wire protocol, RFC 13).

use std::fs::File;
use std::io::{BufRead, BufReader, Write};

use crate::limits::{KEY_MAX, NAME_MAX, VALUE_MAX};

/// Why something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server is gone, or said what the protocol has not.
    Broken,
    /// It said no.
    Refused,
    KeyLength,
    ValueLength,
}

/// What the server allows, in bytes with the final zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Maxes {
    pub(crate) name: usize,
    pub(crate) key: usize,
    pub(crate) value: usize,
}

pub(crate) struct Session {
    /// `None`: a process on its own, which has no server.
    server: Option<BufReader<File>>,
    pub(crate) rank: i32,
    pub(crate) size: i32,
    pub(crate) name: String,
    pub(crate) maxes: Maxes,
    pub(crate) spawned: bool,
    /// Of a process on its own.
    own: Vec<(String, String)>,
}

/// The value after `key=`, up to the next space.
fn field<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

impl Session {
    /// A process that nobody has started as one of several.
    pub(crate) fn alone() -> Session {
        let maxes = Maxes { name: NAME_MAX, key: KEY_MAX, value: VALUE_MAX };
        Session { server: None, rank: 0, size: 1, name: "singleton".into(), maxes, spawned: false, own: Vec::new() }
    }

    pub(crate) fn open(server: File, rank: i32, size: i32, spawned: bool) -> Result<Session, Failure> {
        let mut session = Session { server: Some(BufReader::new(server)), rank, size, spawned, ..Session::alone() };
        session.ask("cmd=init pmi_version=1 pmi_subversion=1", "response_to_init")?;
        let maxes = session.ask("cmd=get_maxes", "maxes")?;
        let number = |key: &str| field(&maxes, key).and_then(|text| text.parse().ok()).ok_or(Failure::Broken);
        session.maxes =
            Maxes { name: number("kvsname_max")?, key: number("keylen_max")?, value: number("vallen_max")? };
        let name = session.ask("cmd=get_my_kvsname", "my_kvsname")?;
        session.name = field(&name, "kvsname").ok_or(Failure::Broken)?.to_owned();
        Ok(session)
    }

    /// Sends a line, and reads the answer `cmd=answer ...`, which must not say `rc=` other than 0.
    fn ask(&mut self, line: &str, answer: &str) -> Result<String, Failure> {
        let server = self.server.as_mut().ok_or(Failure::Broken)?;
        server.get_mut().write_all(format!("{line}\n").as_bytes()).map_err(|_| Failure::Broken)?;
        let mut text = String::new();
        // A line is never longer than a value and what stands around it.
        let limit = (self.maxes.value + self.maxes.key + self.maxes.name).saturating_mul(2) as u64 + 1024;
        std::io::Read::take(&mut *server, limit).read_line(&mut text).map_err(|_| Failure::Broken)?;
        let text = text.strip_suffix('\n').ok_or(Failure::Broken)?;
        if field(text, "cmd") != Some(answer) {
            return Err(Failure::Broken);
        }
        match field(text, "rc") {
            None | Some("0") => Ok(text.to_owned()),
            Some(_) => Err(Failure::Refused),
        }
    }

    fn number(&mut self, line: &str, answer: &str, key: &str, alone: i32) -> Result<i32, Failure> {
        if self.server.is_none() {
            return Ok(alone);
        }
        let text = self.ask(line, answer)?;
        field(&text, key).and_then(|number| number.parse().ok()).ok_or(Failure::Broken)
    }

    pub(crate) fn universe(&mut self) -> Result<i32, Failure> {
        self.number("cmd=get_universe_size", "universe_size", "size", 1)
    }

    pub(crate) fn appnum(&mut self) -> Result<i32, Failure> {
        self.number("cmd=get_appnum", "appnum", "appnum", 0)
    }

    pub(crate) fn put(&mut self, name: &str, key: &str, value: &str) -> Result<(), Failure> {
        if key.is_empty() || key.len() >= self.maxes.key || key.contains([' ', '=', '\n']) {
            return Err(Failure::KeyLength);
        }
        if value.len() >= self.maxes.value || value.contains('\n') {
            return Err(Failure::ValueLength);
        }
        if self.server.is_none() {
            self.own.retain(|(known, _)| known != key);
            self.own.push((key.to_owned(), value.to_owned()));
            return Ok(());
        }
        self.ask(&format!("cmd=put kvsname={name} key={key} value={value}"), "put_result").map(drop)
    }

    pub(crate) fn get(&mut self, name: &str, key: &str) -> Result<String, Failure> {
        if self.server.is_none() {
            let found = self.own.iter().find(|(known, _)| known == key);
            return found.map(|(_, value)| value.clone()).ok_or(Failure::Refused);
        }
        let text = self.ask(&format!("cmd=get kvsname={name} key={key}"), "get_result")?;
        // The value is all that follows: it may have spaces in it.
        text.split_once(" value=").map(|(_, value)| value.to_owned()).ok_or(Failure::Broken)
    }

    pub(crate) fn barrier(&mut self) -> Result<(), Failure> {
        match self.server {
            None => Ok(()),
            Some(_) => self.ask("cmd=barrier_in", "barrier_out").map(drop),
        }
    }

    pub(crate) fn finalize(&mut self) -> Result<(), Failure> {
        match self.server {
            None => Ok(()),
            Some(_) => self.ask("cmd=finalize", "finalize_ack").map(drop),
        }
    }

    /// Nobody answers this.
    pub(crate) fn abort(&mut self, code: i32) {
        if let Some(server) = &mut self.server {
            let _ = server.get_mut().write_all(format!("cmd=abort exitcode={code}\n").as_bytes());
        }
    }

    /// The ranks on this node, as `PMI_process_mapping` tells; only this one if nobody knows.
    pub(crate) fn clique(&mut self) -> Vec<i32> {
        let name = self.name.clone();
        let mapping = self.get(&name, "PMI_process_mapping").unwrap_or_default();
        clique_of(&mapping, self.rank, self.size).unwrap_or_else(|| vec![self.rank])
    }
}

/// Who shares a node with `rank`, by a text like `(vector,(0,2,4))`: first node, nodes, ranks on each.
fn clique_of(mapping: &str, rank: i32, size: i32) -> Option<Vec<i32>> {
    let blocks = mapping.strip_prefix("(vector,")?.strip_suffix(')')?;
    let mut nodes: Vec<i64> = Vec::new();
    for block in blocks.split_inclusive(')') {
        let numbers = block.trim_start_matches(',').strip_prefix('(')?.strip_suffix(')')?;
        let numbers: Vec<i64> = numbers.split(',').map(|text| text.trim().parse().ok()).collect::<Option<_>>()?;
        let &[first, count, each] = &numbers[..] else { return None };
        for node in first..first.checked_add(count)? {
            let left = usize::try_from(size).ok()?.saturating_sub(nodes.len());
            nodes.extend(std::iter::repeat_n(node, usize::try_from(each).ok()?.min(left)));
            if left == 0 {
                break;
            }
        }
    }
    let here = *nodes.get(usize::try_from(rank).ok()?)?;
    Some((0i32..).zip(&nodes).filter(|(_, node)| **node == here).map(|(rank, _)| rank).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clique_is_who_shares_the_node() {
        let cases: &[(&str, i32, i32, Option<&[i32]>)] = &[
            ("(vector,(0,1,4))", 2, 4, Some(&[0, 1, 2, 3])),
            ("(vector,(0,2,2))", 2, 4, Some(&[2, 3])),
            ("(vector,(0,2,1),(0,2,1))", 1, 4, Some(&[1, 3])),
            ("(vector,(0,1,2),(1,1,1))", 2, 3, Some(&[2])),
            ("", 0, 4, None),
            ("(vector,(0,9999999999,9999999999))", 0, 2, Some(&[0, 1])),
            ("(vector,(0,1))", 0, 1, None),
        ];
        for (mapping, rank, size, want) in cases {
            assert_eq!(clique_of(mapping, *rank, *size).as_deref(), *want, "{mapping} of {rank}");
        }
    }

    #[test]
    fn a_process_on_its_own_finds_what_it_put() {
        let mut session = Session::alone();
        assert_eq!(session.put("singleton", "a", "1 2"), Ok(()));
        assert_eq!(session.get("singleton", "a"), Ok("1 2".into()));
        assert_eq!(session.get("singleton", "b"), Err(Failure::Refused));
        assert_eq!(session.put("singleton", "a b", "1"), Err(Failure::KeyLength));
        assert_eq!(session.put("singleton", "a", &"x".repeat(VALUE_MAX)), Err(Failure::ValueLength));
        assert_eq!((session.barrier(), session.finalize(), session.clique()), (Ok(()), Ok(()), vec![0]));
    }
}
