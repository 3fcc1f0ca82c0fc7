use super::*;

#[test]
fn states_have_the_bits_and_names_of_flux_core() {
    let rows = [
        (JobState::New, 1, "NEW", "N"),
        (JobState::Depend, 2, "DEPEND", "D"),
        (JobState::Priority, 4, "PRIORITY", "P"),
        (JobState::Sched, 8, "SCHED", "S"),
        (JobState::Run, 16, "RUN", "R"),
        (JobState::Cleanup, 32, "CLEANUP", "C"),
        (JobState::Inactive, 64, "INACTIVE", "I"),
    ];
    for (state, bit, long, short) in rows {
        assert_eq!((state.bit(), state.name(), state.short()), (bit, long, short));
        assert_eq!(JobState::from_bit(bit), Some(state));
        for name in [long, short, &long.to_lowercase(), &short.to_lowercase()] {
            assert_eq!(StateSet::from_name(name), Some(StateSet::of(&[state])), "{name}");
        }
    }
    let virtuals = [("pending", 14), ("pd", 14), ("RUNNING", 48), ("RU", 48), ("active", 62), ("A", 62)];
    for (name, bits) in virtuals {
        assert_eq!(StateSet::from_name(name).map(StateSet::bits), Some(bits), "{name}");
    }
    for name in ["", "Run", "runs", "X", "PENDING "] {
        assert_eq!(StateSet::from_name(name), None, "{name}");
    }
    assert_eq!((JobState::from_bit(3), JobState::from_bit(0), StateSet::from_bits(128)), (None, None, None));
}

#[test]
fn a_job_goes_through_its_life() {
    let life = [
        ("submit", JobState::New),
        ("dependency-add", JobState::New),
        ("validate", JobState::Depend),
        ("dependency-remove", JobState::Depend),
        ("depend", JobState::Priority),
        ("priority", JobState::Sched),
        ("priority", JobState::Sched),
        ("urgency", JobState::Priority),
        ("priority", JobState::Sched),
        ("flux-restart", JobState::Priority),
        ("priority", JobState::Sched),
        ("jobspec-update", JobState::Priority),
        ("priority", JobState::Sched),
        ("alloc", JobState::Run),
        ("prolog-start", JobState::Run),
        ("memo", JobState::Run),
        ("prolog-finish", JobState::Run),
        ("start", JobState::Run),
        ("resource-update", JobState::Run),
        ("finish", JobState::Cleanup),
        ("epilog-start", JobState::Cleanup),
        ("release", JobState::Cleanup),
        ("epilog-finish", JobState::Cleanup),
        ("free", JobState::Cleanup),
        ("clean", JobState::Inactive),
        ("debug.post", JobState::Inactive),
    ];
    let mut state = JobState::New;
    for (event, want) in life {
        state = state.next(event, None).unwrap_or_else(|| panic!("{event} in {state}"));
        assert_eq!(state, want, "after {event}");
    }
}

#[test]
fn exceptions_of_severity_0_end_active_jobs_only() {
    for state in JobState::ALL {
        let ended = if StateSet::ACTIVE.contains(state) { JobState::Cleanup } else { state };
        assert_eq!(state.next("exception", Some(0)), Some(ended), "{state}");
        assert_eq!(state.next("exception", Some(1)), Some(state), "{state}");
        assert_eq!(state.next("exception", None), Some(state), "{state}");
    }
}

#[test]
fn events_out_of_place_are_refused() {
    let rows = [
        ("validate", JobState::Depend),
        ("depend", JobState::New),
        ("depend", JobState::Sched),
        ("priority", JobState::Run),
        ("alloc", JobState::Priority),
        ("alloc", JobState::Run),
        ("start", JobState::Sched),
        ("finish", JobState::Sched),
        ("finish", JobState::Inactive),
        ("clean", JobState::Run),
        ("clean", JobState::Inactive),
        ("free", JobState::Run),
        ("submit", JobState::Run),
        ("urgency", JobState::Run),
        ("dependency-add", JobState::Sched),
        ("release", JobState::Inactive),
    ];
    for (event, state) in rows {
        assert_eq!(state.next(event, None), None, "{event} in {state}");
    }
}

#[test]
fn results_have_the_bits_and_names_of_flux_core() {
    let rows = [
        (JobResult::Completed, 1, "COMPLETED", "CD"),
        (JobResult::Failed, 2, "FAILED", "F"),
        (JobResult::Canceled, 4, "CANCELED", "CA"),
        (JobResult::Timeout, 8, "TIMEOUT", "TO"),
    ];
    for (result, bit, long, short) in rows {
        assert_eq!((result.bit(), result.name(), result.short()), (bit, long, short));
        assert_eq!(JobResult::from_bit(bit), Some(result));
        assert_eq!(JobResult::from_name(&long.to_lowercase()), Some(result));
        assert_eq!(JobResult::from_name(short), Some(result));
    }
    assert_eq!((JobResult::from_bit(5), JobResult::from_name("Failed")), (None, None));
}

#[test]
fn results_come_from_the_status_then_the_exception() {
    let rows = [
        (Some(0), None, JobResult::Completed),
        (Some(0), Some("cancel"), JobResult::Completed),
        (Some(256), None, JobResult::Failed),
        (Some(15), Some("cancel"), JobResult::Canceled),
        (None, Some("cancel"), JobResult::Canceled),
        (Some(15), Some("timeout"), JobResult::Timeout),
        (None, Some("dependency"), JobResult::Failed),
        (None, None, JobResult::Failed),
    ];
    for (status, exception, want) in rows {
        assert_eq!(JobResult::of_job(status, exception), want, "{status:?} {exception:?}");
    }
}

#[test]
fn flags_have_the_bits_and_names_of_flux_core() {
    let rows = [("debug", 2), ("waitable", 4), ("novalidate", 8), ("pre-signed", 1)];
    for (name, bit) in rows {
        assert_eq!(flags::from_name(name), Some(bit), "{name}");
        assert_eq!(flags::names(bit).collect::<Vec<_>>(), [name]);
    }
    assert_eq!((flags::from_name("nosuch"), flags::names(16).count()), (None, 0));
}
