//! File objects as JSON, keys in the order flux-core writes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{
    BlobRegion, FileContent, FileError, FileObject, MODE_DIRECTORY, MODE_REGULAR, MODE_SYMLINK, MODE_TYPE_MASK,
};
use crate::blobref::Blobref;
use crate::limits::ARCHIVE_FILES_MAX;

type Object = Map<String, Value>;

impl FileObject {
    /// Reads and checks one file object that has its path inside.
    ///
    /// # Errors
    /// See `FileError`.
    pub fn from_value(value: &Value) -> Result<FileObject, FileError> {
        let missing = || FileError::BadKey { path: String::new(), key: "path" };
        let path = value.get("path").and_then(Value::as_str).ok_or_else(missing)?;
        read(path, value)
    }

    /// The object as JSON, with its path unless `in_dict`: there the key is the path.
    pub fn to_value(&self, in_dict: bool) -> Value {
        let mut object = Object::new();
        if !in_dict {
            object.insert("path".into(), self.path.clone().into());
        }
        let (encoding, data) = match &self.content {
            FileContent::Directory | FileContent::Empty { .. } => (None, None),
            FileContent::Symlink { target } => (None, Some(target.clone().into())),
            FileContent::Json(value) => (None, Some(value.clone())),
            FileContent::Text(text) => (Some("utf-8"), Some(text.clone().into())),
            FileContent::Bytes(bytes) => (Some("base64"), Some(STANDARD.encode(bytes).into())),
            FileContent::Blobvec { regions, .. } => {
                let regions = regions.iter().map(|r| json!([r.offset, r.size, r.blobref.to_string()]));
                (Some("blobvec"), Some(regions.collect()))
            }
        };
        let entries = [
            ("encoding", encoding.map(Value::from)),
            ("data", data),
            ("size", self.size().map(Value::from)),
            ("mtime", self.mtime.map(Value::from)),
            ("ctime", self.ctime.map(Value::from)),
            ("mode", Some(self.mode.into())),
        ];
        object.extend(entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        Value::Object(object)
    }

    /// Reads and checks an archive: an array of file objects, or an object whose keys are their paths.
    ///
    /// # Errors
    /// See `FileError`.
    pub fn archive_from_value(value: &Value) -> Result<Vec<FileObject>, FileError> {
        let count = value.as_array().map(Vec::len).or(value.as_object().map(Map::len));
        let count = count.ok_or(FileError::NotAnArchive)?;
        if count > ARCHIVE_FILES_MAX {
            return Err(FileError::TooManyFiles { got: count });
        }
        match value {
            Value::Array(files) => files.iter().map(FileObject::from_value).collect(),
            Value::Object(files) => files
                .iter()
                .map(|(path, file)| match file.get("path") {
                    Some(_) => Err(FileError::ExtraKey { path: excerpt(path), key: "path" }),
                    None => read(path, file),
                })
                .collect(),
            _ => Err(FileError::NotAnArchive),
        }
    }

    /// Reads and checks the JSON text of an archive.
    ///
    /// # Errors
    /// See `FileError`.
    pub fn parse_archive(text: &[u8]) -> Result<Vec<FileObject>, FileError> {
        let value = serde_json::from_slice(text).map_err(|e| FileError::Json(e.to_string()))?;
        FileObject::archive_from_value(&value)
    }
}

fn excerpt(path: &str) -> String {
    path.chars().take(64).collect()
}

/// RFC 37: relative and inside. `.` alone is what flux-core calls the top directory.
fn check_path(path: &str) -> Result<(), FileError> {
    let inside = |part: &str| !matches!(part, "." | "..");
    let good = path == "." || (!path.is_empty() && !path.starts_with('/') && path.split('/').all(inside));
    if good && !path.contains('\0') { Ok(()) } else { Err(FileError::BadPath { path: excerpt(path) }) }
}

fn read(path: &str, value: &Value) -> Result<FileObject, FileError> {
    let bad = |key| FileError::BadKey { path: excerpt(path), key };
    let object = value.as_object().ok_or_else(|| bad("mode"))?;
    check_path(path)?;
    let mode = object.get("mode").and_then(Value::as_u64).and_then(|mode| u32::try_from(mode).ok());
    let mode = mode.ok_or_else(|| bad("mode"))?;
    let time = |key| object.get(key).map(|t| t.as_i64().ok_or_else(|| bad(key))).transpose();
    let none_of = |keys: &[&'static str]| match keys.iter().find(|key| object.contains_key(**key)) {
        Some(key) => Err(FileError::ExtraKey { path: excerpt(path), key }),
        None => Ok(()),
    };
    let content = match mode & MODE_TYPE_MASK {
        MODE_DIRECTORY => {
            none_of(&["size", "data", "encoding"])?;
            FileContent::Directory
        }
        MODE_SYMLINK => {
            none_of(&["size", "encoding"])?;
            let target = object.get("data").and_then(Value::as_str).filter(|t| !t.contains('\0'));
            FileContent::Symlink { target: target.ok_or_else(|| bad("data"))?.to_owned() }
        }
        MODE_REGULAR => read_regular(path, object)?,
        _ => return Err(FileError::BadType { path: excerpt(path), mode }),
    };
    Ok(FileObject { path: path.to_owned(), mode, mtime: time("mtime")?, ctime: time("ctime")?, content })
}

fn read_regular(path: &str, object: &Object) -> Result<FileContent, FileError> {
    let bad = |key| FileError::BadKey { path: excerpt(path), key };
    let size = object.get("size").map(|size| size.as_u64().ok_or_else(|| bad("size"))).transpose()?;
    let data = object.get("data");
    let Some(encoding) = object.get("encoding") else {
        return match (data, size) {
            (None, Some(size)) => Ok(FileContent::Empty { size }),
            (None, None) => Err(bad("size")),
            (Some(value), None) => Ok(FileContent::Json(value.clone())),
            (Some(_), Some(_)) => Err(FileError::ExtraKey { path: excerpt(path), key: "size" }),
        };
    };
    let data = data.ok_or_else(|| bad("data"))?;
    let text = || data.as_str().ok_or_else(|| bad("data"));
    // RFC 37 wants a size; objects without one have been written for jobspec, and the data tells it.
    let checked = |content: FileContent, len: usize| match size {
        Some(size) if size != len as u64 => Err(FileError::BadSize { path: excerpt(path), size, data: len as u64 }),
        _ => Ok(content),
    };
    match encoding.as_str().ok_or_else(|| bad("encoding"))? {
        "utf-8" => checked(FileContent::Text(text()?.to_owned()), text()?.len()),
        "base64" => {
            let bytes = STANDARD.decode(text()?).map_err(|_| bad("data"))?;
            let len = bytes.len();
            checked(FileContent::Bytes(bytes), len)
        }
        "blobvec" => {
            let size = size.ok_or_else(|| bad("size"))?;
            let regions = data.as_array().ok_or_else(|| bad("data"))?;
            read_regions(path, size, regions).map(|regions| FileContent::Blobvec { size, regions })
        }
        other => Err(FileError::BadEncoding { path: excerpt(path), got: excerpt(other) }),
    }
}

/// Regions that rise, do not overlap, and end inside the file.
fn read_regions(path: &str, file_size: u64, regions: &[Value]) -> Result<Vec<BlobRegion>, FileError> {
    let bad = || FileError::BadRegion { path: excerpt(path) };
    let mut end = 0;
    let mut read = Vec::with_capacity(regions.len());
    for region in regions {
        let Some([offset, size, blobref]) = region.as_array().map(Vec::as_slice) else { return Err(bad()) };
        let (Some(offset), Some(size), Some(blobref)) = (offset.as_u64(), size.as_u64(), blobref.as_str()) else {
            return Err(bad());
        };
        let blobref = Blobref::parse(blobref).map_err(FileError::Blobref)?;
        if offset < end || size == 0 {
            return Err(bad());
        }
        end = offset.checked_add(size).filter(|end| *end <= file_size).ok_or_else(bad)?;
        read.push(BlobRegion { offset, size, blobref });
    }
    Ok(read)
}
