//! The functions, as C calls them.
#![allow(non_snake_case, reason = "the names are those of the C interface")]

use std::ffi::{CStr, c_char, c_int};
use std::fs::File;
use std::os::fd::{FromRawFd, RawFd};
use std::sync::{Mutex, MutexGuard};

use crate::session::{Failure, Session};

pub(crate) const SUCCESS: c_int = 0;
pub(crate) const FAIL: c_int = -1;
pub(crate) const ERR_INIT: c_int = 1;
pub(crate) const ERR_INVALID_ARG: c_int = 3;
pub(crate) const ERR_KEY_LENGTH: c_int = 5;
pub(crate) const ERR_VALUE_LENGTH: c_int = 7;
pub(crate) const ERR_INVALID_LENGTH: c_int = 8;

static SESSION: Mutex<Option<Session>> = Mutex::new(None);

pub(crate) fn session() -> MutexGuard<'static, Option<Session>> {
    SESSION.lock().unwrap_or_else(|broken| broken.into_inner())
}

pub(crate) fn code(failure: Failure) -> c_int {
    match failure {
        Failure::Broken | Failure::Refused => FAIL,
        Failure::KeyLength => ERR_KEY_LENGTH,
        Failure::ValueLength => ERR_VALUE_LENGTH,
    }
}

/// Does something in the session that `PMI_Init` began.
pub(crate) fn within(act: impl FnOnce(&mut Session) -> Result<(), c_int>) -> c_int {
    match session().as_mut().ok_or(ERR_INIT).and_then(act) {
        Ok(()) => SUCCESS,
        Err(code) => code,
    }
}

/// The caller's text.
pub(crate) fn text(from: *const c_char) -> Result<String, c_int> {
    if from.is_null() {
        return Err(ERR_INVALID_ARG);
    }
    // SAFETY: it is not null, and the interface asks for a text that ends with a zero.
    let text = unsafe { CStr::from_ptr(from) };
    text.to_str().map(str::to_owned).map_err(|_| ERR_INVALID_ARG)
}

pub(crate) fn give(number: c_int, to: *mut c_int) -> Result<(), c_int> {
    if to.is_null() {
        return Err(ERR_INVALID_ARG);
    }
    // SAFETY: it is not null, and the interface asks for the address of an int.
    unsafe { to.write(number) };
    Ok(())
}

/// A text with its final zero into the caller's buffer.
pub(crate) fn give_text(text: &str, to: *mut c_char, length: c_int) -> Result<(), c_int> {
    let length = usize::try_from(length).map_err(|_| ERR_INVALID_LENGTH)?;
    if to.is_null() {
        return Err(ERR_INVALID_ARG);
    }
    if text.len() >= length {
        return Err(ERR_INVALID_LENGTH);
    }
    let bytes = [text.as_bytes(), &[0]].concat();
    // SAFETY: the buffer has `length` bytes, as the caller says, and that is at least as many as there are here.
    unsafe { to.copy_from_nonoverlapping(bytes.as_ptr().cast(), bytes.len()) };
    Ok(())
}

fn variable(name: &str) -> Option<c_int> {
    std::env::var(name).ok()?.parse().ok()
}

pub(crate) fn open() -> Result<Session, c_int> {
    let (Some(fd), Some(rank), Some(size)) = (variable("PMI_FD"), variable("PMI_RANK"), variable("PMI_SIZE")) else {
        return Ok(Session::alone());
    };
    let fd: RawFd = fd;
    if fd < 0 {
        return Err(ERR_INIT);
    }
    // SAFETY: whoever started this process made the descriptor for PMI alone, and nobody else closes it.
    let server = unsafe { File::from_raw_fd(fd) };
    let spawned = variable("PMI_SPAWNED").is_some_and(|spawned| spawned != 0);
    Session::open(server, rank, size, spawned).map_err(|_| ERR_INIT)
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_Init(spawned: *mut c_int) -> c_int {
    let mut known = session();
    if known.is_none() {
        match open() {
            Ok(opened) => *known = Some(opened),
            Err(code) => return code,
        }
    }
    let is_spawned = known.as_ref().is_some_and(|known| known.spawned);
    give(c_int::from(is_spawned), spawned).err().unwrap_or(SUCCESS)
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_Initialized(initialized: *mut c_int) -> c_int {
    give(c_int::from(session().is_some()), initialized).err().unwrap_or(SUCCESS)
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_Finalize() -> c_int {
    let outcome = within(|session| session.finalize().map_err(code));
    *session() = None;
    outcome
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_Abort(status: c_int, message: *const c_char) -> c_int {
    if let Ok(message) = text(message) {
        eprintln!("PMI_Abort: {message}");
    }
    if let Some(session) = session().as_mut() {
        session.abort(status);
    }
    std::process::exit(status)
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_Get_size(size: *mut c_int) -> c_int {
    within(|session| give(session.size, size))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_Get_rank(rank: *mut c_int) -> c_int {
    within(|session| give(session.rank, rank))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_Get_universe_size(size: *mut c_int) -> c_int {
    within(|session| give(session.universe().map_err(code)?, size))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_Get_appnum(appnum: *mut c_int) -> c_int {
    within(|session| give(session.appnum().map_err(code)?, appnum))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_Barrier() -> c_int {
    within(|session| session.barrier().map_err(code))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_KVS_Get_my_name(name: *mut c_char, length: c_int) -> c_int {
    within(|session| give_text(&session.name, name, length))
}

/// The name of the space is also the id of the process group.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_Get_id(id: *mut c_char, length: c_int) -> c_int {
    PMI_KVS_Get_my_name(id, length)
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_Get_kvs_domain_id(id: *mut c_char, length: c_int) -> c_int {
    PMI_KVS_Get_my_name(id, length)
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_KVS_Get_name_length_max(length: *mut c_int) -> c_int {
    within(|session| give(session.maxes.name as c_int, length))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_Get_id_length_max(length: *mut c_int) -> c_int {
    PMI_KVS_Get_name_length_max(length)
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_KVS_Get_key_length_max(length: *mut c_int) -> c_int {
    within(|session| give(session.maxes.key as c_int, length))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_KVS_Get_value_length_max(length: *mut c_int) -> c_int {
    within(|session| give(session.maxes.value as c_int, length))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_KVS_Put(name: *const c_char, key: *const c_char, value: *const c_char) -> c_int {
    within(|session| session.put(&text(name)?, &text(key)?, &text(value)?).map_err(code))
}

/// What was put is exchanged by the barrier.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_KVS_Commit(name: *const c_char) -> c_int {
    within(|_| text(name).map(drop))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_KVS_Get(
    name: *const c_char,
    key: *const c_char,
    value: *mut c_char,
    length: c_int,
) -> c_int {
    within(|session| give_text(&session.get(&text(name)?, &text(key)?).map_err(code)?, value, length))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_Get_clique_size(size: *mut c_int) -> c_int {
    within(|session| give(session.clique().len() as c_int, size))
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_Get_clique_ranks(ranks: *mut c_int, length: c_int) -> c_int {
    within(|session| {
        let clique = session.clique();
        if ranks.is_null() {
            return Err(ERR_INVALID_ARG);
        }
        if usize::try_from(length).map_or(true, |length| length < clique.len()) {
            return Err(ERR_INVALID_LENGTH);
        }
        // SAFETY: the array has `length` numbers, as the caller says, and that is at least as many as there are here.
        unsafe { ranks.copy_from_nonoverlapping(clique.as_ptr(), clique.len()) };
        Ok(())
    })
}

/// What no Flux job offers (RFC 13): names of services, and processes that processes start.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_Publish_name(_service: *const c_char, _port: *const c_char) -> c_int {
    FAIL
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_Unpublish_name(_service: *const c_char) -> c_int {
    FAIL
}

#[unsafe(no_mangle)]
pub(crate) extern "C" fn PMI_Lookup_name(_service: *const c_char, _port: *mut c_char) -> c_int {
    FAIL
}
