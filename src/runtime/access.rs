//! Who may connect, and as what.

use flux_service::enforced;
use flux_wire::{Cred, Errno, role};

/// The rules of the `access` table, and whose instance it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) owner: u32,
    /// `access.allow-root-owner`
    pub(crate) root_is_owner: bool,
    /// `access.allow-guest-user`
    pub(crate) guests: bool,
}

impl Access {
    /// The rules in a configuration.
    pub(crate) fn new(owner: u32, config: &serde_json::Value) -> Access {
        let flag = |name: &str| config.pointer(&format!("/access/{name}")).and_then(|v| v.as_bool()).unwrap_or(false);
        Access { owner, root_is_owner: flag("allow-root-owner"), guests: flag("allow-guest-user") }
    }

    /// The credentials of a local peer with this user id (RFC 12).
    ///
    /// # Errors
    /// EPERM: it may not connect.
    pub(crate) fn authenticate(&self, uid: u32) -> Result<Cred, Errno> {
        let roles = if uid == self.owner || (uid == 0 && self.root_is_owner) {
            role::OWNER
        } else if self.guests || !enforced("guests") {
            role::USER
        } else {
            return Err(Errno::EPERM);
        };
        Ok(Cred { userid: uid, rolemask: roles | role::LOCAL })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_owner_is_let_in_and_others_as_far_as_the_configuration_says() {
        let (open, root) =
            (json!({"access": {"allow-guest-user": true}}), json!({"access": {"allow-root-owner": true}}));
        let rows = [
            (json!({}), 1000, Ok(role::OWNER | role::LOCAL)),
            (json!({}), 0, Err(Errno::EPERM)),
            (json!({}), 1001, Err(Errno::EPERM)),
            (open.clone(), 1001, Ok(role::USER | role::LOCAL)),
            (open, 0, Ok(role::USER | role::LOCAL)),
            (root.clone(), 0, Ok(role::OWNER | role::LOCAL)),
            (root, 1001, Err(Errno::EPERM)),
        ];
        for (config, uid, want) in rows {
            let got = Access::new(1000, &config).authenticate(uid);
            assert_eq!(got, want.map(|rolemask| Cred { userid: uid, rolemask }), "uid {uid}, {config}");
        }
    }
}
