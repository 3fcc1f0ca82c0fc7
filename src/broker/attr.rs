//! Broker attributes: named strings that clients read to find their way, and a few may set.

use std::collections::{BTreeMap, BTreeSet};

use flux_service::Fault;
use flux_wire::Errno;

/// How an attribute may change; the bits are those of the `attr.get` response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttrFlags(pub u32);

impl AttrFlags {
    /// Never changes once the broker runs: clients keep it for good.
    pub const IMMUTABLE: u32 = 1;
    /// Cannot be set on the command line either.
    pub const READONLY: u32 = 2;
    /// `flux setattr` may change it.
    pub const RUNTIME: u32 = 4;
    /// The command line overrides the configuration file.
    pub const CONFIG: u32 = 8;

    fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }
}

const IMMUTABLE: u32 = AttrFlags::IMMUTABLE;
const FIXED: u32 = AttrFlags::IMMUTABLE | AttrFlags::READONLY;
const RUNTIME: u32 = AttrFlags::RUNTIME;
/// Set on the command line or never; the broker may still change it itself.
const AT_START: u32 = 0;
const CONFIG: u32 = AttrFlags::IMMUTABLE | AttrFlags::CONFIG;

/// The known attributes (flux-broker-attributes(7)). A name ending in `*` covers a family. Others are refused.
const TABLE: &[(&str, u32)] = &[
    ("rank", FIXED),
    ("size", FIXED),
    ("version", AttrFlags::READONLY),
    ("rundir", AT_START),
    ("rundir-cleanup", IMMUTABLE),
    ("statedir", AT_START),
    ("statedir-cleanup", IMMUTABLE),
    ("security.owner", FIXED),
    ("local-uri", IMMUTABLE),
    ("parent-uri", FIXED),
    ("instance-level", FIXED),
    ("jobid", FIXED),
    ("jobid-path", FIXED),
    ("parent-kvs-namespace", FIXED),
    ("hostlist", IMMUTABLE),
    ("hostname", IMMUTABLE),
    ("broker.mapping", FIXED),
    ("broker.critical-ranks", IMMUTABLE),
    ("broker.boot-method", IMMUTABLE),
    ("broker.pid", FIXED),
    ("broker.quorum", IMMUTABLE),
    ("broker.quorum-warn", IMMUTABLE),
    ("broker.shutdown-warn", IMMUTABLE),
    ("broker.shutdown-timeout", IMMUTABLE),
    ("broker.cleanup-timeout", AT_START),
    ("broker.unload-builtins-timeout", AT_START),
    ("broker.rc1_path", AT_START),
    ("broker.rc3_path", AT_START),
    ("broker.rc2_none", AT_START),
    ("broker.rc2_pgrp", AT_START),
    ("broker.exit-restart", RUNTIME),
    ("broker.exit-norestart", AT_START),
    ("broker.module-nopanic", RUNTIME),
    ("broker.starttime", FIXED),
    ("broker.sd-notify", AT_START),
    ("broker.sd-stop-timeout", IMMUTABLE),
    ("broker.recovery-mode", AT_START),
    ("broker.uuid", FIXED),
    ("conf.shell_initrc", RUNTIME),
    ("conf.shell_pluginpath", RUNTIME),
    ("config.path", IMMUTABLE),
    ("log-ring-size", IMMUTABLE),
    ("log-forward-level", IMMUTABLE),
    ("log-critical-level", IMMUTABLE),
    ("log-filename", AT_START),
    ("log-syslog-enable", IMMUTABLE),
    ("log-syslog-level", IMMUTABLE),
    ("log-stderr-mode", IMMUTABLE),
    ("log-stderr-level", RUNTIME),
    ("log-level", IMMUTABLE),
    ("content.backing-module", AT_START),
    ("content.hash", IMMUTABLE),
    ("content.dump", RUNTIME),
    ("content.restore", RUNTIME),
    ("content.blob-size-limit", RUNTIME),
    ("content.flush-batch-limit", RUNTIME),
    ("content.purge-*", RUNTIME),
    ("cron.directory", AT_START),
    ("tbon.descendants", AttrFlags::READONLY),
    ("tbon.level", AttrFlags::READONLY),
    ("tbon.maxlevel", AttrFlags::READONLY),
    ("tbon.endpoint", AttrFlags::READONLY),
    ("tbon.parent-endpoint", AttrFlags::READONLY),
    ("tbon.interface-hint", RUNTIME | CONFIG),
    ("tbon.topo", CONFIG),
    ("tbon.torpid_min", CONFIG),
    ("tbon.torpid_max", CONFIG),
    ("tbon.tcp_user_timeout", CONFIG),
    ("tbon.connect_timeout", CONFIG),
    ("tbon.zmqdebug", CONFIG),
    ("tbon.zmq_io_threads", CONFIG),
    ("tbon.child_rcvhwm", CONFIG),
    ("tbon.prefertcp", CONFIG),
    ("tbon.fanout", AT_START), // Now tbon.topo.
    ("vendor.*", RUNTIME | IMMUTABLE),
    ("test.*", RUNTIME),
    ("test-ro.*", AttrFlags::READONLY),
    ("test-nr.*", AT_START),
    ("test-im.*", IMMUTABLE),
    ("test-*", RUNTIME),
];

fn flags_of(name: &str) -> Option<AttrFlags> {
    let covers = |pattern: &str| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    };
    TABLE.iter().find(|(pattern, _)| covers(pattern)).map(|(_, flags)| AttrFlags(*flags))
}

/// Attributes by which instances of 2018 were told where their brokers are.
const FORMER: &[&str] =
    &["boot.method", "boot.config_file", "session-id", "tbon.endpoints", "tbon-endpoints", "mcast.endpoint"];

fn unknown(name: &str) -> String {
    match FORMER.contains(&name) {
        true => format!(
            "{name}: unknown attribute: brokers find one another by a TOML file, flux broker -c FILE, with [bootstrap] and one \
             line for all: hosts = [ {{ host = \"HOST\", bind = \"tcp://*:8020\", connect = \"tcp://HOST:8020\" }}, ... ] \
             (flux-config-bootstrap(5))"
        ),
        false => format!("{name}: unknown attribute"),
    }
}

/// The attributes that are set.
#[derive(Clone, Debug, Default)]
pub struct Attrs {
    values: BTreeMap<String, String>,
    /// Names that the command line set.
    given: BTreeSet<String>,
}

impl Attrs {
    /// Sets an attribute from the command line (`-S name=value`), before the broker runs.
    ///
    /// # Errors
    /// ENOENT for a name nobody knows, EPERM for one the broker itself determines.
    pub fn set_at_start(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        match flags_of(name) {
            None => Err(Fault::new(Errno::ENOENT, unknown(name))),
            Some(flags) if flags.has(AttrFlags::READONLY) => {
                Err(Fault::new(Errno::EPERM, format!("{name}: attribute may not be set on the command line")))
            }
            Some(_) => {
                self.values.insert(name.to_owned(), value.to_owned());
                self.given.insert(name.to_owned());
                Ok(())
            }
        }
    }

    /// Did the command line set it?
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains(name)
    }

    /// Sets an attribute that the broker or one of its services owns.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.values.insert(name.to_owned(), value.into());
    }

    /// As `set`, unless the command line has already said otherwise.
    pub fn set_default(&mut self, name: &str, value: impl Into<String>) {
        self.values.entry(name.to_owned()).or_insert_with(|| value.into());
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The value and the flags that `attr.get` answers.
    pub fn lookup(&self, name: &str) -> Result<(&str, u32), Fault> {
        let value = self.get(name).ok_or(Fault::from(Errno::ENOENT))?;
        Ok((value, flags_of(name).map_or(0, |flags| flags.0 & AttrFlags::IMMUTABLE)))
    }

    /// A client's `attr.set`; `force` skips the check whether the attribute may change.
    pub fn set_by_client(&mut self, name: &str, value: &str, force: bool) -> Result<(), Fault> {
        match flags_of(name) {
            None if !force => Err(Fault::from(Errno::ENOENT)),
            Some(flags) if !force && !flags.has(AttrFlags::RUNTIME) => Err(Fault::from(Errno::EPERM)),
            _ => {
                self.values.insert(name.to_owned(), value.to_owned());
                Ok(())
            }
        }
    }

    pub fn remove_by_client(&mut self, name: &str) -> Result<(), Fault> {
        if flags_of(name).is_some_and(|flags| !flags.has(AttrFlags::RUNTIME)) {
            return Err(Fault::from(Errno::EPERM));
        }
        self.values.remove(name).map(|_| ()).ok_or(Fault::from(Errno::ENOENT))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// All of them, for [`flux_service::NodeInfo`].
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.values.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_set_what_follows_the_table() {
        let rows = [
            ("rank", Some(Errno::EPERM), Some(Errno::EPERM)),
            ("statedir", None, Some(Errno::EPERM)),
            ("log-stderr-level", None, None),
            ("tbon.topo", None, Some(Errno::EPERM)),
            ("no-such", Some(Errno::ENOENT), Some(Errno::ENOENT)),
        ];
        for (name, at_start, at_run) in rows {
            let mut attrs = Attrs::default();
            assert_eq!(attrs.set_at_start(name, "1").err().map(|f| f.errno), at_start, "{name}");
            assert_eq!(attrs.set_by_client(name, "1", false).err().map(|f| f.errno), at_run, "{name}");
            assert_eq!(attrs.set_by_client(name, "2", true), Ok(()), "{name} by force");
            assert_eq!(attrs.get(name), Some("2"));
        }
    }
}
