//! Brokers that HPE's PALS has started. Who is where stands in a file that PALS leaves on each node, the application information; what
//! brokers have to tell one another, they tell rank 0 at the port that PALS keeps free for a rendezvous.
//!
//! The layout of the file is that of versions 1 and 5, in the machine's own byte order: a header with, for each kind of entry, the
//! size of one, where they begin, and how many there are.

mod meeting;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use flux_types::{Taskmap, TaskmapError};
use flux_wire::crypto::{KEY_LEN, KeyPair};
use sha2::{Digest, Sha256};

pub(super) use self::meeting::meet;

use crate::limits::CONFIG_FILE_BYTES_MAX;

/// Why the brokers did not find one another by what PALS says.
#[derive(Debug)]
pub(super) enum PalsError {
    /// A variable is absent or makes no sense.
    Variable {
        name: &'static str,
        value: Option<String>,
    },
    File {
        path: String,
        error: io::Error,
    },
    /// The file is not what it should be.
    Layout {
        path: String,
        what: &'static str,
    },
    Listen {
        port: u16,
        error: io::Error,
    },
    /// Rank 0 did not answer.
    Meeting {
        host: String,
        port: u16,
        why: String,
    },
    /// Others did not come.
    Absent {
        ranks: String,
        seconds: u64,
    },
}

impl fmt::Display for PalsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PALS: ")?;
        match self {
            Self::Variable { name, value: None } => write!(f, "{name} not found in environ"),
            Self::Variable { name, value: Some(value) } => write!(f, "{name}={value} makes no sense"),
            Self::File { path, error } => write!(f, "{path}: {}", crate::file::errno_of(error)),
            Self::Layout { path, what } => write!(f, "{path}: {what}"),
            Self::Listen { port, error } => {
                write!(f, "could not listen at port {port} of PMI_CONTROL_PORT: {}", crate::file::errno_of(error))
            }
            Self::Meeting { host, port, why } => write!(f, "rank 0, on {host}, is not to be met at port {port}: {why}"),
            Self::Absent { ranks, seconds } => write!(f, "rank {ranks} did not come within {seconds} s"),
        }
    }
}

/// What PALS tells a process of its application.
pub(super) struct Application {
    pub(super) rank: u32,
    /// The host of each rank.
    pub(super) hosts: Vec<String>,
    nodes: Vec<u32>,
    port: u16,
    /// What only this application's processes know.
    secret: KeyPair,
}

impl Application {
    /// `None` if PALS did not start this process.
    ///
    /// # Errors
    /// It did, and says too little.
    pub(super) fn from_env<'a>(env: impl Fn(&str) -> Option<&'a str>) -> Result<Option<Application>, PalsError> {
        let (Some(rank), Some(path)) = (env("PALS_RANKID"), env("PALS_APINFO")) else { return Ok(None) };
        let bad = |name, value: Option<&str>| PalsError::Variable { name, value: value.map(str::to_owned) };
        let rank: u32 = rank.parse().map_err(|_| bad("PALS_RANKID", Some(rank)))?;
        let file = |error| PalsError::File { path: path.to_owned(), error };
        let bytes = read(path).map_err(file)?;
        let (nodes, hosts) = entries(&bytes).map_err(|what| PalsError::Layout { path: path.to_owned(), what })?;
        if rank as usize >= hosts.len() {
            return Err(bad("PALS_RANKID", Some(&rank.to_string())));
        }
        let ports = env("PMI_CONTROL_PORT");
        let port = ports.and_then(|text| text.split(',').next()?.trim().parse().ok()).filter(|port| *port > 0);
        let port = port.ok_or_else(|| bad("PMI_CONTROL_PORT", ports))?;
        let secret = env("PMI_SHARED_SECRET").ok_or_else(|| bad("PMI_SHARED_SECRET", None))?;
        let mut digest = Sha256::new();
        for word in ["flux-pals", env("PALS_APID").unwrap_or_default(), secret] {
            digest.update(word.as_bytes());
            digest.update([0]);
        }
        let seed: [u8; KEY_LEN] = digest.finalize().into();
        Ok(Some(Application { rank, hosts, nodes, port, secret: KeyPair::from_seed(seed) }))
    }

    pub(super) fn size(&self) -> u32 {
        self.hosts.len() as u32
    }

    /// Which ranks share a node.
    ///
    /// # Errors
    /// Those of the map.
    pub(super) fn mapping(&self) -> Result<Taskmap, TaskmapError> {
        let mut map = Taskmap::default();
        for node in &self.nodes {
            map.append(*node, 1, 1)?;
        }
        Ok(map)
    }
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(CONFIG_FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The kinds of entries that matter here: where the header has the size of one, their beginning and their number, and
/// how long one is at least.
const PROCESSES: (usize, usize) = (64, 12);
const NODES: (usize, usize) = (88, 68);
/// Where a process entry has the index of its node, and a node its name, which ends with a zero.
const NODE_OF_PROCESS: usize = 8;
const NAME_OF_NODE: std::ops::Range<usize> = 4..68;

/// The node and the host of each process.
fn entries(bytes: &[u8]) -> Result<(Vec<u32>, Vec<String>), &'static str> {
    const SHORT: &str = "application information that ends early";
    if !matches!(int_at(bytes, 0).ok_or(SHORT)?, 1 | 5) {
        return Err("application information of an unknown version (1 and 5 are known)");
    }
    let mut names = Vec::new();
    for node in table(bytes, NODES).ok_or(SHORT)? {
        let name = node[NAME_OF_NODE].split(|byte| *byte == 0).next().unwrap_or_default();
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty());
        names.push(name.ok_or("a node without a name")?);
    }
    let (mut nodes, mut hosts) = (Vec::new(), Vec::new());
    for process in table(bytes, PROCESSES).ok_or(SHORT)? {
        let node = int_at(process, NODE_OF_PROCESS).ok_or(SHORT)?;
        hosts.push((*names.get(node as usize).ok_or("a process on a node that is not there")?).to_owned());
        nodes.push(node);
    }
    if hosts.is_empty() { Err("an application without processes") } else { Ok((nodes, hosts)) }
}

fn table(bytes: &[u8], (header, least): (usize, usize)) -> Option<std::slice::ChunksExact<'_, u8>> {
    let word = |at: usize| usize::try_from(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?)).ok();
    let (size, from, count) = (word(header)?, word(header + 8)?, int_at(bytes, header + 16)? as usize);
    let all = bytes.get(from..from.checked_add(size.checked_mul(count)?)?)?;
    (size >= least).then(|| all.chunks_exact(size))
}

fn int_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Application information of `processes`, each by the index of its node.
    pub(in crate::boot) fn written(version: u32, nodes: &[&str], processes: &[u32]) -> Vec<u8> {
        let header = if version == 1 { 136 } else { 160 };
        let mut bytes = vec![0; header];
        bytes[..4].copy_from_slice(&version.to_ne_bytes());
        let mut put = |at: usize, size: usize, entries: Vec<Vec<u8>>| {
            let from = bytes.len();
            for (at, word) in [(at, size), (at + 8, from), (at + 16, entries.len())] {
                bytes[at..at + 8].copy_from_slice(&(word as u64).to_ne_bytes());
            }
            bytes.extend(entries.concat());
        };
        let process = |node: &u32| [0, 0, *node].iter().flat_map(|word: &u32| word.to_ne_bytes()).collect();
        put(64, 12, processes.iter().map(process).collect());
        let node = |name: &&str| {
            let mut entry = vec![0; 68];
            entry[4..4 + name.len()].copy_from_slice(name.as_bytes());
            entry
        };
        put(88, 68, nodes.iter().map(node).collect());
        bytes
    }

    #[test]
    fn application_information_of_both_versions_names_the_host_of_each_rank() {
        for version in [1, 5] {
            let bytes = written(version, &["n1", "n2"], &[0, 0, 1]);
            assert_eq!(entries(&bytes), Ok((vec![0, 0, 1], vec!["n1".into(), "n1".into(), "n2".into()])));
        }
    }

    #[test]
    fn application_information_that_is_damaged_is_refused_and_never_read_beyond_its_end() {
        let whole = written(5, &["n1", "n2"], &[0, 1]);
        for len in 0..whole.len() {
            assert!(entries(&whole[..len]).is_err(), "{len} bytes");
        }
        for at in 0..160 {
            for value in [1, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= value;
                let _ = entries(&bytes); // It may still make sense, and must not panic.
            }
        }
        let rows = [
            (written(2, &["n1"], &[0]), "application information of an unknown version (1 and 5 are known)"),
            (written(5, &["n1"], &[1]), "a process on a node that is not there"),
            (written(5, &[""], &[0]), "a node without a name"),
            (written(5, &["n1"], &[]), "an application without processes"),
        ];
        for (bytes, want) in rows {
            assert_eq!(entries(&bytes), Err(want));
        }
    }

    #[test]
    fn what_pals_does_not_say_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("apinfo").display().to_string();
        std::fs::write(&path, written(5, &["n1"], &[0, 0])).unwrap();
        let whole = [
            ("PALS_RANKID", "1"),
            ("PALS_APINFO", path.as_str()),
            ("PMI_CONTROL_PORT", "11998,11999"),
            ("PMI_SHARED_SECRET", "7"),
        ];
        let with = |name: &str, value: Option<&'static str>| {
            let env = |asked: &str| match asked == name {
                true => value,
                false => whole.iter().find(|(name, _)| *name == asked).map(|(_, value)| *value),
            };
            Application::from_env(env).map_err(|error| error.to_string())
        };
        let found = with("PALS_APID", Some("1")).unwrap().unwrap();
        assert_eq!((found.rank, found.size(), found.port), (1, 2, 11998));
        assert_eq!(found.mapping().unwrap().to_value().to_string(), "[[0,1,2,1]]");
        assert!(with("PALS_RANKID", None).unwrap().is_none());
        let rows = [
            ("PALS_RANKID", Some("2"), "PALS: PALS_RANKID=2 makes no sense"),
            ("PALS_RANKID", Some("x"), "PALS: PALS_RANKID=x makes no sense"),
            ("PMI_CONTROL_PORT", None, "PALS: PMI_CONTROL_PORT not found in environ"),
            ("PMI_CONTROL_PORT", Some("0"), "PALS: PMI_CONTROL_PORT=0 makes no sense"),
            ("PMI_SHARED_SECRET", None, "PALS: PMI_SHARED_SECRET not found in environ"),
            ("PALS_APINFO", Some("/gone"), "PALS: /gone: No such file or directory"),
        ];
        for (name, value, want) in rows {
            assert_eq!(with(name, value).err(), Some(want.to_owned()), "{name}={value:?}");
        }
    }
}
