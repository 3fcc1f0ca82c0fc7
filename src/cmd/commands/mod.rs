//! The commands, one file (or folder) each.

pub mod attr;
pub mod broker;
pub mod env;
pub mod help;
pub mod kvs;
pub mod start;
pub mod uptime;
pub mod version;
