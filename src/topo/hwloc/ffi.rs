//! The few functions of hwloc that we call, as declared in `third_party/hwloc/include`.

use libc::{c_char, c_int, c_uint, c_ulong};

/// `struct hwloc_topology`, of which only hwloc knows the inside.
pub(super) enum Topology {}
/// `struct hwloc_bitmap_s`, likewise.
pub(super) enum Bitmap {}

/// `HWLOC_TYPE_FILTER_KEEP_IMPORTANT` of `enum hwloc_type_filter_e`.
pub(super) const TYPE_FILTER_KEEP_IMPORTANT: c_int = 3;

unsafe extern "C" {
    pub(super) fn hwloc_topology_init(topology: *mut *mut Topology) -> c_int;
    pub(super) fn hwloc_topology_set_io_types_filter(topology: *mut Topology, filter: c_int) -> c_int;
    pub(super) fn hwloc_topology_load(topology: *mut Topology) -> c_int;
    pub(super) fn hwloc_topology_restrict(topology: *mut Topology, set: *const Bitmap, flags: c_ulong) -> c_int;
    pub(super) fn hwloc_topology_export_xmlbuffer(
        topology: *mut Topology,
        buffer: *mut *mut c_char,
        len: *mut c_int,
        flags: c_ulong,
    ) -> c_int;
    pub(super) fn hwloc_free_xmlbuffer(topology: *mut Topology, buffer: *mut c_char);
    pub(super) fn hwloc_topology_destroy(topology: *mut Topology);
    pub(super) fn hwloc_bitmap_alloc() -> *mut Bitmap;
    pub(super) fn hwloc_bitmap_set(bitmap: *mut Bitmap, id: c_uint) -> c_int;
    pub(super) fn hwloc_bitmap_free(bitmap: *mut Bitmap);
}
