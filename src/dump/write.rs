//! Writing an archive.

use std::convert::Infallible;
use std::io::{self, Write};

use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use crate::DumpError;

/// What is done to the tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
}

impl Compression {
    /// As the end of the file's name says; `-`, standard output, is not compressed.
    ///
    /// # Errors
    /// [`DumpError::UnknownFormat`]
    pub fn of_name(name: &str) -> Result<Compression, DumpError<Infallible>> {
        match name {
            _ if name == "-" || name.ends_with(".tar") => Ok(Compression::None),
            _ if name.ends_with(".tgz") || name.ends_with(".tar.gz") => Ok(Compression::Gzip),
            _ => Err(DumpError::UnknownFormat { name: name.to_owned() }),
        }
    }
}

/// What all entries have in common.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp {
    /// Seconds since 1970.
    pub mtime: u64,
    pub uid: u32,
    pub gid: u32,
}

enum Packed<W: Write> {
    Plain(W),
    Gzip(GzEncoder<W>),
}

impl<W: Write> Write for Packed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => out.flush(),
        }
    }
}

/// An archive that is being written.
pub struct Writer<W: Write> {
    tar: Builder<Packed<W>>,
    stamp: Stamp,
}

impl<W: Write> Writer<W> {
    pub fn new(out: W, compression: Compression, stamp: Stamp) -> Writer<W> {
        let out = match compression {
            Compression::None => Packed::Plain(out),
            Compression::Gzip => Packed::Gzip(GzEncoder::new(out, flate2::Compression::default())),
        };
        Writer { tar: Builder::new(out), stamp }
    }

    /// `path` is the key with `/` between its components.
    ///
    /// # Errors
    /// Those of writing.
    pub fn value(&mut self, path: &str, value: &[u8]) -> io::Result<()> {
        let mut header = self.header(EntryType::Regular, value.len() as u64);
        self.extend(path, None)?;
        put(&mut header.as_old_mut().name, path);
        header.set_cksum();
        self.tar.append(&header, value)
    }

    /// # Errors
    /// Those of writing.
    pub fn symlink(&mut self, path: &str, namespace: Option<&str>, target: &str) -> io::Result<()> {
        let target = namespace.map_or(target.to_owned(), |namespace| format!("{namespace}::{target}"));
        let mut header = self.header(EntryType::Symlink, 0);
        self.extend(path, Some(&target))?;
        put(&mut header.as_old_mut().name, path);
        put(&mut header.as_old_mut().linkname, &target);
        header.set_cksum();
        self.tar.append(&header, io::empty())
    }

    /// Ends the archive; what it was written to has all of it then.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(self) -> io::Result<W> {
        let mut out = match self.tar.into_inner()? {
            Packed::Plain(out) => out,
            Packed::Gzip(out) => out.finish()?,
        };
        out.flush()?;
        Ok(out)
    }

    fn header(&self, kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(size);
        header.set_mtime(self.stamp.mtime);
        header.set_uid(self.stamp.uid.into());
        header.set_gid(self.stamp.gid.into());
        header
    }

    /// What has no room in the header goes before it.
    fn extend(&mut self, path: &str, target: Option<&str>) -> io::Result<()> {
        const FIELD_LEN: usize = 100;
        let long = |text: &&str| text.len() > FIELD_LEN;
        let path = Some(path).filter(long).map(|path| ("path", path.as_bytes()));
        let target = target.filter(long).map(|target| ("linkpath", target.as_bytes()));
        let records: Vec<(&str, &[u8])> = path.into_iter().chain(target).collect();
        if records.is_empty() { Ok(()) } else { self.tar.append_pax_extensions(records) }
    }
}

/// As much of `text` as the field holds.
fn put(field: &mut [u8], text: &str) {
    let len = text.len().min(field.len());
    field[..len].copy_from_slice(&text.as_bytes()[..len]);
}
