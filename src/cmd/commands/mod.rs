//! The commands, one file (or folder) each.

pub mod admin;
pub mod attr;
pub mod broker;
pub mod cgroup;
pub mod config;
pub mod content;
pub mod dmesg;
pub mod env;
pub mod event;
pub mod help;
pub mod hostlist;
pub mod keygen;
pub mod kvs;
pub mod logger;
pub mod lptest;
pub mod module;
pub mod ping;
pub mod python;
pub mod queue;
pub mod resource;
pub mod resource_set;
pub mod start;
pub mod uptime;
pub mod version;
