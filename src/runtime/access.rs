//! Who may connect, and as what.

use flux_service::enforced;
use flux_sys::users::Users;
use flux_wire::{Cred, Errno, role};

/// The rules of the `access` table, and whose instance it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) owner: u32,
    /// `access.allow-root-owner`
    pub(crate) root_is_owner: bool,
    /// `access.allow-guest-user`
    pub(crate) guests: bool,
    /// `access.roles.admin`: names of users and of groups.
    admins: (Vec<String>, Vec<String>),
}

impl Access {
    /// The rules in a configuration.
    pub(crate) fn new(owner: u32, config: &serde_json::Value) -> Access {
        let flag = |name: &str| config.pointer(&format!("/access/{name}")).and_then(|v| v.as_bool()).unwrap_or(false);
        let names = |kind: &str| {
            let list = config.pointer(&format!("/access/roles/admin/{kind}")).and_then(|names| names.as_array());
            list.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        };
        let admins = (names("users"), names("groups"));
        Access { owner, root_is_owner: flag("allow-root-owner"), guests: flag("allow-guest-user"), admins }
    }

    /// The credentials of a local peer with this user id (RFC 12).
    ///
    /// # Errors
    /// EPERM: it may not connect.
    pub(crate) fn authenticate(&self, uid: u32) -> Result<Cred, Errno> {
        let roles = if uid == self.owner || (uid == 0 && self.root_is_owner) {
            role::OWNER
        } else if self.guests || !enforced("guests") {
            role::USER | if self.is_admin(uid) { role::ADMIN } else { 0 }
        } else {
            return Err(Errno::EPERM);
        };
        Ok(Cred { userid: uid, rolemask: roles | role::LOCAL })
    }
}

impl Access {
    /// Looked up for each connection, as flux-config-access(5) says; what cannot be looked up is no admin.
    fn is_admin(&self, uid: u32) -> bool {
        let (users, groups) = &self.admins;
        if users.is_empty() && groups.is_empty() {
            return false;
        }
        let mut all = Users::new();
        let Ok(Some(user)) = all.by_uid(uid) else { return false };
        let own = all.groups_of(&user).unwrap_or_default();
        let in_group = |name: &String| matches!(all.group_by_name(name), Ok(Some(group)) if own.contains(&group.gid));
        users.contains(&user.name) || groups.iter().any(in_group)
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
        let admin =
            |kind: &str, name: &str| json!({"access": {"allow-guest-user": true, "roles": {"admin": {kind: [name]}}}});
        let closed = json!({"access": {"roles": {"admin": {"users": ["daemon"]}}}});
        let rows = [
            (admin("users", "daemon"), 1, Ok(role::USER | role::ADMIN | role::LOCAL)),
            (admin("users", "nosuchuser"), 1, Ok(role::USER | role::LOCAL)),
            (admin("groups", "daemon"), 1, Ok(role::USER | role::ADMIN | role::LOCAL)),
            (admin("groups", "bin"), 1, Ok(role::USER | role::LOCAL)),
            (closed, 1, Err(Errno::EPERM)),
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
