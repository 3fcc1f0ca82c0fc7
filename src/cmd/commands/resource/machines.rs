//! `flux resource reload --xml`: an inventory from what hwloc says of each node.

use std::path::{Path, PathBuf};

use flux_types::resource_set::Node;
use flux_types::{Idset, ResourceSet};

use crate::frame::CmdError;

/// A file that goes with this value.
pub(super) struct Passing(PathBuf);

impl Passing {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The inventory that the files `RANK.xml` of a directory describe, written down for the resource service to read.
pub(super) fn written(dir: &Path) -> Result<Passing, CmdError> {
    let set = read(dir)?;
    let path = std::env::temp_dir().join(format!("flux-R-{}.json", std::process::id()));
    let mut file = std::fs::File::create_new(&path).map_err(|error| CmdError::about(path.display(), error))?;
    let passing = Passing(path);
    std::io::Write::write_all(&mut file, set.to_value().to_string().as_bytes())?;
    Ok(passing)
}

fn about(path: &Path) -> impl FnOnce(std::io::Error) -> CmdError + '_ {
    move |error| CmdError::about(path.display(), error)
}

fn read(dir: &Path) -> Result<ResourceSet, CmdError> {
    let mut set = ResourceSet::new();
    for entry in std::fs::read_dir(dir).map_err(about(dir))? {
        let path = entry.map_err(about(dir))?.path();
        let is_xml = path.extension().is_some_and(|extension| extension == "xml");
        let rank = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u32>().ok());
        let Some(rank) = rank.filter(|_| is_xml) else { continue };
        let text = std::fs::read_to_string(&path).map_err(about(&path))?;
        let found = flux_topo::xml::parse(&text).map_err(|error| CmdError::about(path.display(), error))?;
        let host =
            flux_topo::xml::hostname(&text).ok_or_else(|| CmdError::about(path.display(), "no HostName in it"))?;
        let count = |count: usize| Idset::below(u32::try_from(count).unwrap_or(u32::MAX - 1));
        let node = Node::new(&host, count(found.cores.len()), count(found.gpus.len()));
        set.insert(rank, node).map_err(|error| CmdError::about(path.display(), error))?;
    }
    if set.ranks().is_empty() {
        Err(CmdError::about(dir.display(), "invalid directory: no XML input files found"))
    } else {
        Ok(set)
    }
}
