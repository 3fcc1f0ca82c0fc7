//! Execution targets as people name them: an idset of ranks (RFC 22) or a hostlist (RFC 29).

use flux_service::Fault;
use flux_types::{Hostlist, Idset, ResourceSet};
use flux_wire::Errno;

/// The ranks that `text` names in `set`.
///
/// # Errors
/// EINVAL if it is neither form, or names what is not there.
pub(crate) fn parse_targets(set: &ResourceSet, text: &str) -> Result<Idset, Fault> {
    let invalid = |why: String| Fault::new(Errno::EINVAL, why);
    if let Ok(ranks) = Idset::parse(text) {
        let unknown = ranks.subtract(&set.ranks());
        if !unknown.is_empty() {
            return Err(invalid("idset is out of range".to_owned()));
        }
        if ranks.is_empty() {
            return Err(invalid("idset is empty".to_owned()));
        }
        return Ok(ranks);
    }
    let hosts = Hostlist::parse(text)
        .map_err(|_| invalid(format!("invalid targets: '{text}' is neither an idset nor a hostlist")))?;
    set.hosts_to_ranks(&hosts).map_err(|error| invalid(format!("invalid targets: {error}")))
}

/// The host names of `ranks`, as events carry them beside the idset.
pub(crate) fn nodelist(set: &ResourceSet, ranks: &Idset) -> String {
    set.copy_ranks(ranks).nodelist().map(|hosts| hosts.encode()).unwrap_or_default()
}
