//! Planted bugs, which the simulator must find.
//!
//! Without the feature `plant`, which only the simulator's own build has, [`planted`] is a constant, and nothing of this is
//! in the program.

/// A bug that may be turned on: what it does is said where it is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Plant {
    LostRequestsForgotten = 1,
    EventSentTwice,
    EventNotSent,
    ResponseDropped,
    UpwardForgotten,
    StreamsNotTracked,
    CommitsNotSynced,
    FullDiskAcknowledged,
    ReplayForgetsLast,
    AppendOverwrites,
    WatchMissesCommit,
    VersionsReused,
    SubmitsNotSynced,
    FreeBeforeRelease,
    CancelKeepsAlloc,
    HelloForgetsJobs,
    ShellEventsTwice,
    TakenNotStored,
    LostShellSucceeds,
    SecondShell,
    SpacesNotSynced,
    DrainsForgotten,
    GuestsSeeAll,
    StoppedQueuesForgotten,
    DependenciesIgnored,
    PrologsNotAwaited,
    TakenBackToldAgain,
    MergedForgotten,
    GivenBackEarly,
    PassingForgotten,
    ListenersKept,
    OrdersNotStored,
    RemovedInHaste,
    StreamsLeftBehind,
    GroupsBeginEmpty,
}

impl Plant {
    pub const ALL: [Plant; 35] = [
        Plant::LostRequestsForgotten,
        Plant::EventSentTwice,
        Plant::EventNotSent,
        Plant::ResponseDropped,
        Plant::UpwardForgotten,
        Plant::StreamsNotTracked,
        Plant::CommitsNotSynced,
        Plant::FullDiskAcknowledged,
        Plant::ReplayForgetsLast,
        Plant::AppendOverwrites,
        Plant::WatchMissesCommit,
        Plant::VersionsReused,
        Plant::SubmitsNotSynced,
        Plant::FreeBeforeRelease,
        Plant::CancelKeepsAlloc,
        Plant::HelloForgetsJobs,
        Plant::ShellEventsTwice,
        Plant::TakenNotStored,
        Plant::LostShellSucceeds,
        Plant::SecondShell,
        Plant::SpacesNotSynced,
        Plant::DrainsForgotten,
        Plant::GuestsSeeAll,
        Plant::StoppedQueuesForgotten,
        Plant::DependenciesIgnored,
        Plant::PrologsNotAwaited,
        Plant::TakenBackToldAgain,
        Plant::MergedForgotten,
        Plant::GivenBackEarly,
        Plant::PassingForgotten,
        Plant::ListenersKept,
        Plant::OrdersNotStored,
        Plant::RemovedInHaste,
        Plant::StreamsLeftBehind,
        Plant::GroupsBeginEmpty,
    ];
}

#[cfg(feature = "plant")]
mod choice {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Plant;

    static ACTIVE: AtomicU8 = AtomicU8::new(0);

    /// Turns one bug on, for the whole process; `None`: none.
    pub fn choose(plant: Option<Plant>) {
        ACTIVE.store(plant.map_or(0, |plant| plant as u8), Ordering::SeqCst);
    }

    /// Is this bug turned on?
    pub fn planted(plant: Plant) -> bool {
        ACTIVE.load(Ordering::Relaxed) == plant as u8
    }
}

#[cfg(feature = "plant")]
pub use choice::{choose, planted};

/// Is this bug turned on? Never, in the product.
#[cfg(not(feature = "plant"))]
pub const fn planted(_plant: Plant) -> bool {
    false
}
