//! What one seed stands for: how many brokers, how they are joined, who uses them, and what goes wrong.

use std::time::Duration;

use flux_broker::Scheduler;
use flux_overlay::Tree;
use flux_service::Rng;

/// A stream of numbers that neighbouring seeds do not share.
pub(crate) fn stream(seed: u64, salt: u64) -> Rng {
    // SplitMix64: a good start for a generator that dislikes small numbers.
    let mut z = seed.wrapping_add(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    Rng::new(z ^ z >> 31)
}

pub(crate) fn percent(rng: &mut Rng, chance: u64) -> bool {
    rng.below(100) < chance
}

/// A time of at least `from` and less than `to`, in microseconds.
pub(crate) fn between_us(rng: &mut Rng, from: u64, to: u64) -> Duration {
    Duration::from_micros(from + rng.below(to - from))
}

/// A kind of fault, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    LinkLost,
    Partition,
    Delay,
    Crash,
    PowerCut,
    TornWrite,
    SlowDisk,
    FullDisk,
    ShellKilled,
    ClientGone,
    Pause,
    /// A broker between others dies while they talk over it.
    RouterLost,
    /// The operator takes a module out and loads it again.
    Reload,
}

impl Fault {
    pub const ALL: [Fault; 13] = [
        Fault::LinkLost,
        Fault::Partition,
        Fault::Delay,
        Fault::Crash,
        Fault::PowerCut,
        Fault::TornWrite,
        Fault::SlowDisk,
        Fault::FullDisk,
        Fault::ShellKilled,
        Fault::ClientGone,
        Fault::Pause,
        Fault::RouterLost,
        Fault::Reload,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Fault::LinkLost => "link lost",
            Fault::Partition => "partition",
            Fault::Delay => "delayed message",
            Fault::Crash => "broker killed",
            Fault::PowerCut => "power cut",
            Fault::TornWrite => "torn write",
            Fault::SlowDisk => "slow disk",
            Fault::FullDisk => "full disk",
            Fault::ShellKilled => "shell killed",
            Fault::ClientGone => "client gone",
            Fault::Pause => "broker paused",
            Fault::RouterLost => "router killed",
            Fault::Reload => "module reloaded",
        }
    }
}

/// Everything that is decided before the clock starts.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub size: u32,
    pub topology: &'static str,
    pub clients: u32,
    /// How long clients work and faults happen.
    pub span: Duration,
    /// Rank 0 runs without waiting for the others.
    pub quorum_of_one: bool,
    /// The resources stand in the configuration; otherwise the brokers tell what they find.
    pub configured: bool,
    pub cores: u32,
    pub scheduler: Scheduler,
    /// Faults that happen in this run, each with the mean time between two.
    pub faults: Vec<(Fault, Duration)>,
    /// Users that are not the owner have clients, too.
    pub guests: bool,
    /// Commands of the site run before and after jobs.
    pub perilogs: bool,
    /// Links speak ZMTP, byte by byte.
    pub zmtp: bool,
    /// Fluxion matches in a thread, while the broker goes on.
    pub in_thread: bool,
    /// Invariants are checked at every turn.
    pub is_judged: bool,
    /// One message in so many is held up on its way; 0: none.
    pub delay_one_in: u64,
}

impl Scenario {
    pub fn of_seed(seed: u64) -> Scenario {
        let rng = &mut stream(seed, 1);
        let sizes = [1, 2, 3, 3, 3, 4, 5, 7, 7, 9];
        let topologies = ["kary:2", "kary:2", "kary:1", "kary:0", "binomial"];
        let size = sizes[rng.below(sizes.len() as u64) as usize];
        let topology = topologies[rng.below(topologies.len() as u64) as usize];
        let deep = Tree::named(topology, size).is_ok_and(|tree| tree.level_max() > 1);
        let mut faults = Vec::new();
        // One run in eight has no faults at all: what fails there is no matter of luck.
        if !percent(rng, 12) {
            let kinds = Fault::ALL.into_iter().filter(|kind| !matches!(kind, Fault::Delay | Fault::TornWrite));
            for kind in kinds {
                let networked = matches!(kind, Fault::LinkLost | Fault::Partition);
                let possible = (size > 1 || !networked) && (deep || kind != Fault::RouterLost);
                if possible && percent(rng, 45) {
                    let mean = 4_000 + rng.below(20_000);
                    // There are many modules.
                    let mean = if kind == Fault::Reload { mean / 3 } else { mean };
                    faults.push((kind, Duration::from_millis(mean)));
                }
            }
        }
        Scenario {
            seed,
            size,
            topology,
            clients: 2 + rng.below(4) as u32,
            span: Duration::from_millis(15_000 + rng.below(25_000)),
            quorum_of_one: percent(rng, 40),
            configured: percent(rng, 30),
            cores: 1 + rng.below(4) as u32,
            scheduler: if percent(rng, 70) { Scheduler::Fluxion } else { Scheduler::Simple },
            faults,
            is_judged: true,
            delay_one_in: [0, 10, 50, 400][rng.below(4) as usize],
            guests: percent(rng, 30),
            perilogs: percent(rng, 20),
            zmtp: percent(rng, 15),
            in_thread: seed.is_multiple_of(2),
        }
    }

    /// An instance of that size and shape without clients or faults.
    pub(crate) fn calm(size: u32, topology: &'static str) -> Scenario {
        Scenario {
            seed: u64::from(size),
            size,
            topology,
            clients: 0,
            span: Duration::from_secs(1 << 30),
            quorum_of_one: false,
            configured: false,
            cores: 1,
            scheduler: Scheduler::Simple,
            faults: Vec::new(),
            guests: false,
            perilogs: false,
            zmtp: false,
            in_thread: false,
            is_judged: false,
            delay_one_in: 0,
        }
    }
}
