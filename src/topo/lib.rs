//! Room `topo`.
