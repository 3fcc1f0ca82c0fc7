//! The whole topology through hwloc, as the XML document that `FLUX_HWLOC_XML` and MPI libraries want.

mod ffi;

use crate::limits::XML_BYTES_MAX;
use crate::{Allowed, TopoError};
use flux_sys::affinity::{self, CpuSet};
use std::ffi::CStr;
use std::io;
use std::ptr::NonNull;

/// A loaded topology.
struct Topology(NonNull<ffi::Topology>);

/// A bitmap of hwloc's.
struct Bitmap(NonNull<ffi::Bitmap>);

/// This node's topology in XML (hwloc's format of version 2), restricted to what is allowed; devices are kept.
///
/// # Errors
/// When hwloc cannot look at the machine, or nothing is left.
pub fn export_xml(allowed: &Allowed) -> Result<String, TopoError> {
    let topology = Topology::load()?;
    match allowed {
        Allowed::All => (),
        Allowed::These(cpus) => topology.restrict(cpus)?,
        Allowed::OfThisProcess => {
            let own = affinity::get(0);
            let own = own.map_err(|error| TopoError::System { what: "reading our affinity".to_string(), error })?;
            topology.restrict(&own)?;
        }
    }
    topology.export()
}

fn failed(what: &'static str) -> TopoError {
    TopoError::Hwloc { what, error: io::Error::last_os_error() }
}

impl Topology {
    fn load() -> Result<Topology, TopoError> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: writes a pointer to a new topology into a live variable.
        let ret = unsafe { ffi::hwloc_topology_init(&mut raw) };
        let topology = NonNull::new(raw).filter(|_| ret == 0).map(Topology).ok_or_else(|| failed("begin"))?;
        // SAFETY: the topology is live and not loaded yet, as this function demands.
        let ret =
            unsafe { ffi::hwloc_topology_set_io_types_filter(topology.0.as_ptr(), ffi::TYPE_FILTER_KEEP_IMPORTANT) };
        if ret != 0 {
            return Err(failed("keep devices"));
        }
        // SAFETY: the topology is live, configured, and not loaded yet.
        if unsafe { ffi::hwloc_topology_load(topology.0.as_ptr()) } != 0 {
            return Err(failed("look at this machine"));
        }
        Ok(topology)
    }

    fn restrict(&self, cpus: &CpuSet) -> Result<(), TopoError> {
        let bitmap = Bitmap::new(cpus)?;
        // SAFETY: both are live; the bitmap is only read.
        let ret = unsafe { ffi::hwloc_topology_restrict(self.0.as_ptr(), bitmap.0.as_ptr(), 0) };
        if ret == 0 { Ok(()) } else { Err(failed("restrict the topology")) }
    }

    fn export(&self) -> Result<String, TopoError> {
        let (mut buffer, mut len) = (std::ptr::null_mut(), 0);
        // SAFETY: the topology is loaded; writes a pointer and a length into live variables.
        let ret = unsafe { ffi::hwloc_topology_export_xmlbuffer(self.0.as_ptr(), &mut buffer, &mut len, 0) };
        if ret != 0 || buffer.is_null() {
            return Err(failed("write XML"));
        }
        // SAFETY: hwloc ends the document with a zero byte, and nobody writes to it.
        let text = unsafe { CStr::from_ptr(buffer) }.to_string_lossy().into_owned();
        // SAFETY: the buffer came from the export of the same topology and is freed once.
        unsafe { ffi::hwloc_free_xmlbuffer(self.0.as_ptr(), buffer) };
        if text.len() > XML_BYTES_MAX {
            return Err(TopoError::Xml { what: format!("{} bytes, over the limit of {XML_BYTES_MAX}", text.len()) });
        }
        Ok(text)
    }
}

impl Drop for Topology {
    fn drop(&mut self) {
        // SAFETY: made by hwloc_topology_init, destroyed once.
        unsafe { ffi::hwloc_topology_destroy(self.0.as_ptr()) };
    }
}

impl Bitmap {
    fn new(cpus: &CpuSet) -> Result<Bitmap, TopoError> {
        // SAFETY: takes nothing; answers a new bitmap or null.
        let raw = unsafe { ffi::hwloc_bitmap_alloc() };
        let bitmap = NonNull::new(raw).map(Bitmap).ok_or_else(|| failed("make a bitmap"))?;
        for cpu in cpus.iter() {
            // SAFETY: the bitmap is live and ours alone.
            if unsafe { ffi::hwloc_bitmap_set(bitmap.0.as_ptr(), cpu) } != 0 {
                return Err(failed("grow a bitmap"));
            }
        }
        Ok(bitmap)
    }
}

impl Drop for Bitmap {
    fn drop(&mut self) {
        // SAFETY: made by hwloc_bitmap_alloc, freed once.
        unsafe { ffi::hwloc_bitmap_free(self.0.as_ptr()) };
    }
}
