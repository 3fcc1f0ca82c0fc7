//! An instance of several brokers: their inventories become one set, and who is up follows `broker.online`.

use std::time::Duration;

use flux_service::{Cx, Fault, LogLevel, Outcome, Tag};
use flux_types::resource_set::Node;
use flux_types::{Hostlist, Idset, ResourceSet};
use flux_wire::{Errno, Message, Target};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::inventory::{Inventory, Method};
use crate::service::{LOOK_AGAIN, Resource, Waiting, stored_text};

/// How long brokers beyond the quorum may take to tell what they have before the first jobs run.
const GATHER_WAIT: Duration = Duration::from_millis(500);
/// Those that come later wait so long for one another: the scheduler begins anew with them.
const GROW_WAIT: Duration = Duration::from_secs(1);

/// What a broker has, and perhaps those below it, on its way to rank 0.
#[derive(Deserialize)]
struct Found {
    ranks: Idset,
    #[serde(rename = "R")]
    set: Value,
}

/// The set in a `resource.topo-reduce`.
pub(crate) fn told(request: &Message, size: u32) -> Result<ResourceSet, Fault> {
    let Found { ranks, set } = request.decode()?;
    let set = ResourceSet::from_value(&set).map_err(|error| Fault::new(Errno::EPROTO, error.to_string()))?;
    if set.ranks() != ranks || ranks.is_empty() || ranks.last().is_some_and(|last| last >= size) {
        return Err(Fault::new(Errno::EPROTO, format!("ranks {ranks} tell of ranks {}", set.ranks())));
    }
    Ok(set)
}

impl Resource {
    /// The module of groups is being reloaded.
    fn ask_again(&mut self, cx: &Cx<'_>) {
        self.follow_at.get_or_insert(cx.now.mono.after(LOOK_AGAIN));
    }

    /// Hears of brokers that come and go.
    pub(crate) fn follow_members(&mut self, cx: &mut Cx<'_>) {
        let following = |waiting: &Waiting| matches!(waiting, Waiting::Members | Waiting::Torpid);
        self.waiting.retain(|_, waiting| !following(waiting));
        let tag = cx.request_stream("groups.get", Target::Rank(cx.node.rank), json!({"name": "broker.online"}));
        self.waiting.insert(tag, Waiting::Members);
        let tag = cx.request_stream("groups.get", Target::Rank(cx.node.rank), json!({"name": "broker.torpid"}));
        self.waiting.insert(tag, Waiting::Torpid);
    }

    /// Waits for the inventories of the other brokers; ours is the first, and those that came before the module was loaded anew.
    /// What an earlier run knew of them is asked for.
    pub(crate) fn begin_gathering(&mut self, cx: &mut Cx<'_>) {
        let mut set = self.found.set.clone();
        let told = self.known.get();
        let _ = set.append(&told.copy_ranks(&told.ranks().subtract(&set.ranks()))); // They have no rank in common.
        self.gathered = Some(set);
        let body = json!({"key": "resource.R", "namespace": "primary", "flags": 0});
        let tag = cx.request("kvs.lookup", Target::Any, body);
        self.waiting.insert(tag, Waiting::OldResources);
    }

    /// The module was loaded anew: what brokers have told is known, and what somebody put into the KVS counts more.
    pub(crate) fn begin_again(&mut self, cx: &mut Cx<'_>) {
        self.begin_gathering(cx);
        self.gathered = Some(ResourceSet::new());
    }

    /// The resources of the last run: a node that is away keeps what it had, and its jobs keep their places.
    pub(crate) fn old_resources(&mut self, cx: &mut Cx<'_>, reply: &Message) {
        let hosts = cx.node.attr("hostlist").and_then(|text| Hostlist::parse(text).ok()).unwrap_or_default();
        let set = stored_text(reply).and_then(|text| ResourceSet::parse(&text).ok()).unwrap_or_default();
        if self.known.is_settled(cx.node.rank) {
            let mut stored = set.copy_ranks(&Idset::below(cx.node.size));
            let known = self.known.get();
            let _ = stored.append(&known.copy_ranks(&known.ranks().subtract(&stored.ranks())));
            self.stored = Some(stored);
            return self.settle_gathered(cx);
        }
        // Another host may have that rank today.
        let same = |(rank, node): &(u32, &Node)| hosts.nth(*rank as usize) == node.host.as_deref().map(str::to_owned);
        self.stored = Some(set.copy_ranks(&set.iter().filter(same).map(|(rank, _)| rank).collect()));
        self.gathered_more(cx);
    }

    pub(crate) fn topo_reduce(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let set = told(request, cx.node.size)?;
        cx.respond_empty(request);
        if self.gathered.is_some() || self.method == Method::DynamicDiscovery {
            self.known.note(&set);
        }
        match &mut self.gathered {
            Some(gathered) => {
                // A broker that restarted meanwhile counts with what it has now.
                gathered.remove_ranks(&set.ranks());
                gathered.append(&set).map_err(|error| Fault::new(Errno::EINVAL, error.to_string()))?;
                self.gathered_more(cx);
            }
            None if self.method == Method::DynamicDiscovery => {
                let late = set.ranks().subtract(&self.set.ranks());
                let late = set.copy_ranks(&late);
                if late.nnodes() > 0 {
                    self.late.append(&late).map_err(|error| Fault::new(Errno::EINVAL, error.to_string()))?;
                    self.grow_at.get_or_insert(cx.now.mono.after(GROW_WAIT));
                }
            }
            None if self.ready => {
                for rank in set.ranks().iter() {
                    self.compare(cx, &set.copy_ranks(&Idset::range(rank, rank)));
                }
            }
            None => {
                for rank in set.ranks().iter() {
                    self.reports.insert(rank, set.copy_ranks(&Idset::range(rank, rank)));
                }
            }
        }
        Ok(())
    }

    /// The set is settled once a quorum has told and the others are known from the last run; if they are not, they have a
    /// while to come.
    fn gathered_more(&mut self, cx: &mut Cx<'_>) {
        let quorum = cx.node.attr("broker.quorum").and_then(|text| text.parse().ok()).unwrap_or(cx.node.size);
        let (Some(gathered), Some(stored)) = (&self.gathered, &self.stored) else { return };
        let told = gathered.ranks();
        if told.count() < quorum.clamp(1, cx.node.size) as usize {
            return;
        }
        if told.union(&stored.ranks()).count() == cx.node.size as usize {
            return self.settle_gathered(cx);
        }
        self.gather_until.get_or_insert(cx.now.mono.after(GATHER_WAIT));
    }

    /// Goes on with those that have told what they have.
    pub(crate) fn settle_gathered(&mut self, cx: &mut Cx<'_>) {
        self.gather_until = None;
        let Some(mut set) = self.gathered.take() else { return };
        let away = self.stored.take().unwrap_or_default();
        let away = away.copy_ranks(&away.ranks().subtract(&set.ranks()));
        if let Err(error) = set.append(&away) {
            cx.log(LogLevel::Err, format!("resource.R of the last run is not used: {error}"));
        }
        let missing = Idset::below(cx.node.size).subtract(&set.ranks());
        if !missing.is_empty() {
            cx.log(LogLevel::Info, format!("ranks {missing} have not come yet: their resources are used when they do"));
        }
        self.inventory_known(cx, Inventory::new(set, Method::DynamicDiscovery));
    }

    /// Brokers that came after the resources were settled: theirs are added, and the scheduler asks again for all.
    pub(crate) fn grow(&mut self, cx: &mut Cx<'_>) {
        if self.grow_at.is_none_or(|at| cx.now.mono < at) {
            return;
        }
        self.grow_at = (!self.ready).then(|| cx.now.mono.after(GROW_WAIT));
        if !self.ready {
            return;
        }
        let late = std::mem::take(&mut self.late);
        let late = late.copy_ranks(&late.ranks().subtract(&self.set.ranks()));
        if let Err(error) = self.set.append(&late) {
            return cx.log(LogLevel::Err, format!("resources of ranks {}: {error}", late.ranks()));
        }
        let drained = self.drains_of_late.of(&late.ranks().subtract(&self.excluded));
        self.drains.put_back(drained.into_iter().filter(|(_, drained)| drained.is_some()).collect());
        self.drains_of_late.undrain(&late.ranks());
        cx.log(LogLevel::Info, format!("the instance has grown by ranks {}", late.ranks()));
        let define = self.event(cx, "resource-define", json!({"method": self.method.name()}));
        self.commit(cx, &[define], true, Waiting::Ignored);
        if let Some(acquire) = self.acquire.take() {
            cx.respond_error(&acquire, &Fault::new(Errno::ESTALE, "the instance has grown: acquire again"));
            self.told_up = Idset::new();
        }
        let members = self.members.clone();
        self.went_online(cx, &members);
    }

    pub(crate) fn members_changed(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        #[derive(Deserialize)]
        struct Members {
            members: Idset,
        }
        if reply.errno().is_some() {
            return self.ask_again(cx);
        }
        self.waiting.insert(tag, Waiting::Members);
        let Ok(Members { members }) = reply.decode() else { return };
        let gone = self.members.subtract(&members);
        self.members = members.clone();
        if self.ready {
            self.went_offline(cx, &gone);
            self.went_online(cx, &members);
        }
    }

    /// Brokers that are silent get no new jobs, and keep those that they have.
    pub(crate) fn torpid_changed(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        #[derive(Deserialize)]
        struct Members {
            members: Idset,
        }
        if reply.errno().is_some() {
            return self.ask_again(cx);
        }
        self.waiting.insert(tag, Waiting::Torpid);
        let Ok(Members { members }) = reply.decode() else { return };
        let (new, well) = (members.subtract(&self.torpid), self.torpid.subtract(&members));
        self.torpid = members;
        for (name, ranks) in [("torpid", new), ("lively", well)] {
            if !ranks.is_empty() {
                let event = self.event(cx, name, json!({"idset": ranks.to_string()}));
                self.commit(cx, &[event], false, Waiting::Ignored);
            }
        }
        self.tell_scheduler(cx);
    }

    fn went_offline(&mut self, cx: &mut Cx<'_>, ranks: &Idset) {
        let gone = ranks.intersect(&self.online);
        if gone.is_empty() {
            return;
        }
        self.online.remove_all(&gone);
        let event = self.event(cx, "offline", json!({"idset": gone.to_string()}));
        self.commit(cx, &[event], false, Waiting::Ignored);
        self.tell_scheduler(cx);
    }
}
