//! The functions of PMI-2, as C calls them. They speak PMI-1 to the server: a fence is a barrier, the id of a job is the name of its
//! key-value space. Codes below 9 mean the same in both.
#![allow(non_snake_case, reason = "the names are those of the C interface")]

use std::ffi::{c_char, c_int, c_void};
use std::time::Duration;

use crate::abi::{ERR_INIT, ERR_INVALID_ARG, FAIL, code, give, give_text, open, session, text, within};
use crate::limits::NODE_ATTR_TRIES;
use crate::session::{Failure, Session};

const ERR_INVALID_KEY: c_int = 4;
/// The key of an attribute of the node: all its tasks know who of them comes first.
fn local_key(session: &mut Session, name: *const c_char) -> Result<String, c_int> {
    let first = session.clique().first().copied().unwrap_or(session.rank);
    Ok(format!("local{first}::{}", text(name)?))
}

fn give_if_wanted(number: c_int, to: *mut c_int) -> Result<(), c_int> {
    if to.is_null() { Ok(()) } else { give(number, to) }
}

fn begin(spawned: *mut c_int, size: *mut c_int, rank: *mut c_int, appnum: *mut c_int) -> Result<(), c_int> {
    let mut known = session();
    if known.is_some() {
        return Err(ERR_INIT);
    }
    let mut opened = open()?;
    if !appnum.is_null() {
        give(opened.appnum().map_err(code)?, appnum)?;
    }
    give_if_wanted(c_int::from(opened.spawned), spawned)?;
    give_if_wanted(opened.size, size)?;
    give_if_wanted(opened.rank, rank)?;
    *known = Some(opened);
    Ok(())
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI2_Init(
    spawned: *mut c_int,
    size: *mut c_int,
    rank: *mut c_int,
    appnum: *mut c_int,
) -> c_int {
    begin(spawned, size, rank, appnum).err().unwrap_or(0)
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI2_Initialized() -> c_int {
    c_int::from(session().is_some())
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI2_Finalize() -> c_int {
    let outcome = within(|session| session.finalize().map_err(code));
    *session() = None;
    outcome
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI2_Abort(_flag: c_int, message: *const c_char) -> c_int {
    eprintln!("PMI2_Abort: {}", text(message).unwrap_or_default());
    if let Some(session) = session().as_mut() {
        session.abort(1);
    }
    std::process::exit(1)
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI2_Job_GetId(id: *mut c_char, length: c_int) -> c_int {
    within(|session| give_text(&session.name, id, length).map_err(|_| ERR_INVALID_ARG))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI2_KVS_Put(key: *const c_char, value: *const c_char) -> c_int {
    within(|session| {
        let name = session.name.clone();
        session.put(&name, &text(key)?, &text(value)?).map_err(code)
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI2_KVS_Fence() -> c_int {
    within(|session| session.barrier().map_err(code))
}

/// `length` becomes that of the value. The job of the caller is meant where `job` is null.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI2_KVS_Get(
    job: *const c_char,
    _source: c_int,
    key: *const c_char,
    value: *mut c_char,
    value_max: c_int,
    length: *mut c_int,
) -> c_int {
    within(|session| {
        give_if_wanted(0, length)?;
        let name = if job.is_null() { session.name.clone() } else { text(job)? };
        let found = session.get(&name, &text(key)?).map_err(absent)?;
        give_text(&found, value, value_max)?;
        give_if_wanted(found.len() as c_int, length)
    })
}

fn absent(failure: Failure) -> c_int {
    if failure == Failure::Refused { ERR_INVALID_KEY } else { code(failure) }
}

/// A value with the word whether it was there; it need not be.
fn give_found(outcome: Result<(), c_int>, found: *mut c_int) -> Result<(), c_int> {
    give_if_wanted(c_int::from(outcome.is_ok()), found)?;
    outcome
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI2_Info_PutNodeAttr(name: *const c_char, value: *const c_char) -> c_int {
    within(|session| {
        let (space, key) = (session.name.clone(), local_key(session, name)?);
        session.put(&space, &key, &text(value)?).map_err(code)
    })
}

/// With `wait` it is waited for that another task of this node puts it.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI2_Info_GetNodeAttr(
    name: *const c_char,
    value: *mut c_char,
    value_max: c_int,
    found: *mut c_int,
    wait: c_int,
) -> c_int {
    const PAUSE: Duration = Duration::from_millis(100);
    for _ in 0..NODE_ATTR_TRIES {
        let outcome = within(|session| {
            let (space, key) = (session.name.clone(), local_key(session, name)?);
            let value_found = session.get(&space, &key).map_err(absent);
            let outcome = value_found.and_then(|found| give_text(&found, value, value_max));
            let known_absent = outcome == Err(ERR_INVALID_KEY) && !found.is_null();
            give_found(outcome, found).or(if known_absent && wait == 0 { Ok(()) } else { outcome })
        });
        if outcome != ERR_INVALID_KEY || wait == 0 {
            return outcome;
        }
        std::thread::sleep(PAUSE);
    }
    ERR_INVALID_KEY
}

/// `PMI_process_mapping` and `universeSize`.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI2_Info_GetJobAttr(
    name: *const c_char,
    value: *mut c_char,
    value_max: c_int,
    found: *mut c_int,
) -> c_int {
    within(|session| {
        let space = session.name.clone();
        let known = match text(name)?.as_str() {
            name @ "PMI_process_mapping" => session.get(&space, name).map_err(absent),
            "universeSize" => session.universe().map(|size| size.to_string()).map_err(code),
            _ => Err(ERR_INVALID_KEY),
        };
        give_found(known.and_then(|known| give_text(&known, value, value_max)), found)
    })
}

/// What no Flux job offers: processes that processes start, other jobs, names of services, numbers as arrays.
macro_rules! refused {
    ($($name:ident($($arg:ty),*);)*) => {$(
        #[unsafe(no_mangle)]
        pub(crate) extern "C" fn $name($(_: $arg),*) -> c_int {
            FAIL
        }
    )*};
}

refused! {
    PMI2_Job_GetRank(*mut c_int);
    PMI2_Job_Connect(*const c_char, *mut c_void);
    PMI2_Job_Disconnect(*const c_char);
    PMI2_Info_GetSize(*mut c_int);
    PMI2_Info_GetNodeAttrIntArray(*const c_char, *mut c_int, c_int, *mut c_int, *mut c_int);
    PMI2_Info_GetJobAttrIntArray(*const c_char, *mut c_int, c_int, *mut c_int, *mut c_int);
    PMI2_Nameserv_publish(*const c_char, *const c_void, *const c_char);
    PMI2_Nameserv_lookup(*const c_char, *const c_void, *mut c_char, c_int);
    PMI2_Nameserv_unpublish(*const c_char, *const c_void);
    PMI2_Job_Spawn(c_int, *const *const c_char, *const c_int, *const *const *const c_char, *const c_int, *const c_int,
        *const *const c_void, c_int, *const *const c_void, *mut c_char, c_int, *mut c_int);
}
