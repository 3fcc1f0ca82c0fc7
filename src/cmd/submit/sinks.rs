//! Where the output of many jobs goes: standard output and error, and log files, each opened once.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use crate::frame::CmdError;
use crate::limits::LOG_FILES_MAX;

/// A place for output. The numbers are handed out by [`Sinks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sink(usize);

pub(crate) const STDOUT: Sink = Sink(0);
pub(crate) const STDERR: Sink = Sink(1);

/// All open places.
pub(crate) struct Sinks {
    open: Vec<(String, BufWriter<Box<dyn Write>>)>,
}

impl Sinks {
    pub(crate) fn new() -> Sinks {
        let own = |stream: Box<dyn Write>| (String::new(), BufWriter::new(stream));
        Sinks { open: vec![own(Box::new(io::stdout())), own(Box::new(io::stderr()))] }
    }

    /// The file of that name, made empty the first time.
    ///
    /// # Errors
    /// Those of opening; too many files.
    pub(crate) fn file(&mut self, path: &str) -> Result<Sink, CmdError> {
        if let Some(at) = self.open.iter().skip(2).position(|(known, _)| known == path) {
            return Ok(Sink(at + 2));
        }
        if self.open.len() >= LOG_FILES_MAX {
            return Err(CmdError::new(format!("ERROR: --log: more than {LOG_FILES_MAX} files")));
        }
        let failed = |error| CmdError::new(format!("ERROR: {}", super::files::describe(&error, path)));
        let file = File::create(path).map_err(failed)?;
        self.open.push((path.to_owned(), BufWriter::new(Box::new(file))));
        Ok(Sink(self.open.len() - 1))
    }

    /// Writes; what stands in the other standard stream's buffer goes first.
    ///
    /// # Errors
    /// Those of writing.
    pub(crate) fn write(&mut self, sink: Sink, bytes: &[u8]) -> Result<(), CmdError> {
        if sink.0 < 2 {
            self.open[1 - sink.0].1.flush()?;
        }
        Ok(self.open[sink.0].1.write_all(bytes)?)
    }

    /// # Errors
    /// Those of writing.
    pub(crate) fn flush(&mut self) -> Result<(), CmdError> {
        self.open.iter_mut().try_for_each(|(_, stream)| stream.flush())?;
        Ok(())
    }
}
