//! The PMI-1 client (RFC 13): how processes that were started together learn of one another.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use crate::limits::PMI_LINE_MAX;

/// Why the exchange failed.
#[derive(Debug)]
pub enum PmiError {
    Io(io::Error),
    Closed,
    /// The answer is another one, or reports a failure.
    Answer {
        asked: String,
        got: String,
    },
    Environment {
        name: &'static str,
        value: String,
    },
}

impl fmt::Display for PmiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "PMI: {error}"),
            Self::Closed => f.write_str("PMI: the server closed the connection"),
            Self::Answer { asked, got } => write!(f, "PMI: {asked:?} was answered with {got:?}"),
            Self::Environment { name, value } => write!(f, "PMI: {name}={value} makes no sense"),
        }
    }
}

impl From<io::Error> for PmiError {
    fn from(error: io::Error) -> PmiError {
        PmiError::Io(error)
    }
}

impl std::error::Error for PmiError {}

/// What the environment says of the process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    pub rank: u32,
    pub size: u32,
    fd: i32,
}

impl Group {
    /// `None` without a server.
    pub fn from_env<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Option<Group>, PmiError> {
        let Some(fd) = get("PMI_FD") else { return Ok(None) };
        let number = |name: &'static str| {
            let value = get(name).unwrap_or_default();
            value.parse::<u32>().map_err(|_| PmiError::Environment { name, value: value.to_owned() })
        };
        let (rank, size) = (number("PMI_RANK")?, number("PMI_SIZE")?);
        let bad = || PmiError::Environment { name: "PMI_FD", value: fd.to_owned() };
        let fd = fd.parse::<i32>().ok().filter(|fd| *fd > 2).ok_or_else(bad)?;
        if rank >= size {
            return Err(PmiError::Environment { name: "PMI_RANK", value: rank.to_string() });
        }
        Ok(Some(Group { rank, size, fd }))
    }

    /// Says hello to the server. Asked once: the descriptor is taken over.
    ///
    /// # Errors
    /// Those of the conversation.
    pub fn connect(self) -> Result<Client, PmiError> {
        let stream = UnixStream::from(flux_sys::fd::take_inherited(self.fd)?);
        stream.set_nonblocking(false)?;
        Client::new(stream)
    }
}

/// A conversation with the server.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    space: String,
}

impl Client {
    fn new(stream: UnixStream) -> Result<Client, PmiError> {
        let mut client = Client { stream: BufReader::new(stream), space: String::new() };
        client.ask("cmd=init pmi_version=1 pmi_subversion=1", "response_to_init")?;
        client.ask("cmd=get_maxes", "maxes")?;
        let answer = client.ask("cmd=get_my_kvsname", "my_kvsname")?;
        client.space = word(&answer, "kvsname").unwrap_or_default().to_owned();
        Ok(client)
    }

    /// The name of the key-value space: that of the job.
    pub fn space(&self) -> &str {
        &self.space
    }

    /// # Errors
    /// Those of the conversation; so for the others.
    pub fn put(&mut self, key: &str, value: &str) -> Result<(), PmiError> {
        let line = format!("cmd=put kvsname={} key={key} value={value}", self.space);
        self.ask(&line, "put_result").map(drop)
    }

    /// Waits for all processes of the group.
    ///
    /// # Errors
    /// Those of the conversation.
    pub fn barrier(&mut self) -> Result<(), PmiError> {
        self.ask("cmd=barrier_in", "barrier_out").map(drop)
    }

    /// The value of a key that some process has put before a barrier, or the server knows.
    ///
    /// # Errors
    /// Those of the conversation.
    pub fn get(&mut self, key: &str) -> Result<String, PmiError> {
        let line = format!("cmd=get kvsname={} key={key}", self.space);
        let answer = self.ask(&line, "get_result")?;
        word(&answer, "value").map(str::to_owned).ok_or(PmiError::Answer { asked: line, got: answer })
    }

    /// The last word.
    ///
    /// # Errors
    /// Those of the conversation.
    pub fn finalize(mut self) -> Result<(), PmiError> {
        self.ask("cmd=finalize", "finalize_ack").map(drop)
    }

    /// Ends all processes of the group; no answer comes.
    ///
    /// # Errors
    /// Those of writing.
    pub fn abort(mut self, code: i32, message: &str) -> Result<(), PmiError> {
        let line = format!("cmd=abort exitcode={code} error_msg={message}\n");
        Ok(self.stream.get_mut().write_all(line.as_bytes())?)
    }

    fn ask(&mut self, line: &str, want: &str) -> Result<String, PmiError> {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes())?;
        let mut answer = Vec::new();
        loop {
            let buffer = self.stream.fill_buf()?;
            if buffer.is_empty() || answer.len() > PMI_LINE_MAX {
                return Err(PmiError::Closed);
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            answer.extend_from_slice(&buffer[..end.unwrap_or(buffer.len())]);
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.stream.consume(used);
            if end.is_some() {
                break;
            }
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let failed = word(&answer, "rc").is_some_and(|rc| rc != "0");
        if word(&answer, "cmd") != Some(want) || failed {
            return Err(PmiError::Answer { asked: line.to_owned(), got: answer });
        }
        Ok(answer)
    }
}

fn word<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_ascii_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_whether_there_is_a_group() {
        let group = |rows: &'static [(&'static str, &'static str)]| {
            Group::from_env(|name| rows.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
        };
        assert_eq!(group(&[]).unwrap(), None);
        let got = group(&[("PMI_FD", "5"), ("PMI_RANK", "1"), ("PMI_SIZE", "2")]).unwrap();
        assert_eq!(got, Some(Group { rank: 1, size: 2, fd: 5 }));
        for bad in [
            &[("PMI_FD", "x"), ("PMI_RANK", "0"), ("PMI_SIZE", "2")][..],
            &[("PMI_FD", "5"), ("PMI_RANK", "2"), ("PMI_SIZE", "2")],
            &[("PMI_FD", "5"), ("PMI_RANK", "2")],
        ] {
            assert!(group(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_client_puts_waits_and_gets() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = std::thread::spawn(move || {
            let mut stream = BufReader::new(theirs);
            let script = [
                ("cmd=init ", "cmd=response_to_init rc=0 pmi_version=1 pmi_subversion=1"),
                ("cmd=get_maxes", "cmd=maxes rc=0 kvsname_max=64 keylen_max=64 vallen_max=1024"),
                ("cmd=get_my_kvsname", "cmd=my_kvsname rc=0 kvsname=k"),
                ("cmd=put kvsname=k key=a value=b", "cmd=put_result rc=0"),
                ("cmd=barrier_in", "cmd=barrier_out rc=0"),
                ("cmd=get kvsname=k key=a", "cmd=get_result rc=0 value=b"),
                ("cmd=get kvsname=k key=z", "cmd=get_result rc=4"),
            ];
            for (want, answer) in script {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                assert!(line.starts_with(want), "{line}");
                stream.get_mut().write_all(format!("{answer}\n").as_bytes()).unwrap();
            }
        });
        let mut client = Client::new(ours).unwrap();
        client.put("a", "b").unwrap();
        client.barrier().unwrap();
        assert_eq!(client.get("a").unwrap(), "b");
        assert!(matches!(client.get("z"), Err(PmiError::Answer { .. })));
        server.join().unwrap();
        assert!(client.finalize().is_err());
    }
}
