//! `flux-imp-pam`: opens a session of PAM for a guest's job, starts the job shell in it, and closes it when the shell has ended. The
//! IMP starts it, as root, where the site says `exec.pam-support`. It is a program of its own, as PAM loads shared objects.
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks, clippy::multiple_unsafe_ops_per_block)]

use flux_imp::policy::Plan;
use flux_imp::supervise::supervise;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::process::ExitCode;
use std::ptr::null_mut;

/// PAM's handle; what is in it is PAM's.
type Handle = *mut c_void;

#[repr(C)]
struct Conversation {
    answer: extern "C" fn(c_int, *const c_void, *mut c_void, *mut c_void) -> c_int,
    data: *mut c_void,
}

// The library by its file name, so that the package with its headers is not needed.
#[link(name = "libpam.so.0", kind = "dylib", modifiers = "+verbatim")]
unsafe extern "C" {
    fn pam_start(service: *const c_char, user: *const c_char, talk: *const Conversation, out: *mut Handle) -> c_int;
    fn pam_setcred(handle: Handle, flags: c_int) -> c_int;
    fn pam_open_session(handle: Handle, flags: c_int) -> c_int;
    fn pam_close_session(handle: Handle, flags: c_int) -> c_int;
    fn pam_getenvlist(handle: Handle) -> *const *const c_char;
    fn pam_end(handle: Handle, status: c_int) -> c_int;
    fn pam_strerror(handle: Handle, status: c_int) -> *const c_char;
}

const ESTABLISH: c_int = 2;
const DELETE: c_int = 4;
const CANNOT_ASK: c_int = 19;

/// There is nobody to be asked.
extern "C" fn no_answer(_: c_int, _: *const c_void, _: *mut c_void, _: *mut c_void) -> c_int {
    CANNOT_ASK
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = flux_imp::policy::session_plan(&words).ok_or("only the IMP starts this".into()).and_then(run);
    done.map_or_else(
        |why| {
            eprintln!("flux-imp-pam: {why}");
            ExitCode::FAILURE
        },
        ExitCode::from,
    )
}

fn run((name, mut plan): (&str, Plan)) -> Result<u8, String> {
    let name = CString::new(name).map_err(|error| error.to_string())?;
    let (mut handle, talk) = (null_mut(), Conversation { answer: no_answer, data: null_mut() });
    // SAFETY: strings and structure live until the handle's end; the handle is written once.
    good(handle, "start", unsafe { pam_start(c"flux".as_ptr(), name.as_ptr(), &talk, &mut handle) })?;
    // SAFETY: this and what follows takes PAM's own handle and a number, until its end.
    good(handle, "setcred", unsafe { pam_setcred(handle, ESTABLISH) })?;
    // SAFETY: as above.
    good(handle, "open_session", unsafe { pam_open_session(handle, 0) })?;
    plan.environment.extend(std::env::vars().chain(variables(handle)));
    let code = supervise(&plan, Vec::new(), None, false);
    // SAFETY: as above.
    good(handle, "close_session", unsafe { pam_close_session(handle, 0) })?;
    // SAFETY: as above.
    good(handle, "setcred", unsafe { pam_setcred(handle, DELETE) })?;
    // SAFETY: as above.
    good(handle, "end", unsafe { pam_end(handle, 0) })?;
    code
}

fn good(handle: Handle, what: &str, status: c_int) -> Result<(), String> {
    // SAFETY: takes any handle and any number.
    let text = unsafe { pam_strerror(handle, status) };
    // SAFETY: PAM answers a constant string, whatever the number.
    let text = unsafe { CStr::from_ptr(text) };
    if status == 0 { Ok(()) } else { Err(format!("pam_{what}: {}", text.to_string_lossy())) }
}

/// What modules want in the environment of the session.
fn variables(handle: Handle) -> Vec<(String, String)> {
    // SAFETY: the handle is PAM's; the list is ours, and stays.
    let list = unsafe { pam_getenvlist(handle) };
    // SAFETY: the list ends with null, and nothing after that is read.
    let entries = (0..).map(|at| unsafe { *list.wrapping_add(at) }).take_while(|entry| !entry.is_null());
    // SAFETY: entries are strings.
    let texts = entries.map(|entry| unsafe { CStr::from_ptr(entry) }.to_string_lossy());
    texts.filter_map(|text| text.split_once('=').map(|(name, value)| (name.into(), value.into()))).collect()
}
