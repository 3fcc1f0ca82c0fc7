//! Values with grammars: what Flux writes in text and JSON, as types. Pure: no clock, file, environment or thread.
#![forbid(unsafe_code)]

pub mod blobref;
pub mod constraint;
pub mod dependency;
pub mod duration;
pub mod eventlog;
pub mod fileref;
pub mod glob;
pub mod hostlist;
pub mod idset;
pub mod iodata;
pub mod job_events;
pub mod jobid;
pub mod jobspec;
pub mod jobstate;
pub mod json;
pub mod limits;
pub mod range;
pub mod resource_set;
pub mod taskmap;
pub mod treeobj;
pub mod urgency;

pub use blobref::{Blobref, BlobrefError, HashKind};
pub use constraint::{Constraint, ConstraintError};
pub use dependency::{Dependency, DependencyError};
pub use duration::{format_fsd, format_fsd_listing, parse_fsd};
pub use fileref::{BlobRegion, FileContent, FileError, FileObject};
pub use hostlist::{Hostlist, HostlistError};
pub use idset::{Idset, IdsetError, IdsetFormat};
pub use jobid::{FluidError, FluidGenerator, JobId, JobIdError, JobIdForm};
pub use jobspec::{Jobspec, JobspecError};
pub use jobstate::{JobResult, JobState, StateSet};
pub use json::At;
pub use range::{Operator, RangeError, ResourceCount, ResourceRange};
pub use resource_set::{ResourceError, ResourceSet};
pub use taskmap::{Taskmap, TaskmapError};
pub use treeobj::{Treeobj, TreeobjError};
pub use urgency::{PRIORITY_MAX, Urgency, UrgencyError};

#[cfg(test)]
mod testing;
