//! The interface of parallel debuggers (MPIR): names that they look up in this program, to read and to set.
//!
//! A debugger sets `MPIR_being_debugged`, stops at `MPIR_Breakpoint`, and reads where the tasks are from `MPIR_proctable`.

use std::ffi::{CString, c_char, c_int};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

/// `MPIR_PROCDESC`
#[repr(C)]
struct Process {
    host_name: *const c_char,
    executable_name: *const c_char,
    pid: c_int,
}

const SPAWNED: i32 = 1;

// SAFETY: no other part of the program has these names, which are the interface's own; atomics have the layout of what they hold.
#[unsafe(no_mangle)]
static MPIR_being_debugged: AtomicI32 = AtomicI32::new(0);
// SAFETY: as above.
#[unsafe(no_mangle)]
static MPIR_debug_state: AtomicI32 = AtomicI32::new(0);
// SAFETY: as above.
#[unsafe(no_mangle)]
static MPIR_proctable: AtomicPtr<Process> = AtomicPtr::new(null_mut());
// SAFETY: as above.
#[unsafe(no_mangle)]
static MPIR_proctable_size: AtomicI32 = AtomicI32::new(0);
// SAFETY: as above.
#[unsafe(no_mangle)]
static MPIR_i_am_starter: AtomicI32 = AtomicI32::new(1);
// SAFETY: as above.
#[unsafe(no_mangle)]
static MPIR_partial_attach_ok: AtomicI32 = AtomicI32::new(1);

/// Debuggers set a breakpoint here.
// SAFETY: as above; it takes and returns nothing.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn MPIR_Breakpoint() {
    MPIR_debug_state.store(SPAWNED, Ordering::SeqCst); // Something to do, so that it is not left out.
}

/// A task: its host, its program and its process there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub host: String,
    pub program: String,
    pub pid: i32,
}

/// A debugger has set it, or [`set_being_debugged`].
pub fn is_being_debugged() -> bool {
    // What the debugger reads must be in the program for it, also before it is used.
    let kept = MPIR_i_am_starter.load(Ordering::SeqCst) + MPIR_partial_attach_ok.load(Ordering::SeqCst);
    kept > 0 && MPIR_being_debugged.load(Ordering::SeqCst) != 0
}

pub fn set_being_debugged() {
    MPIR_being_debugged.store(1, Ordering::SeqCst);
}

/// Publishes the tasks, by rank, and stops for the debugger. The table stays until the process ends.
pub fn publish(tasks: &[Task]) {
    let text = |text: &str| CString::new(text).unwrap_or_default().into_raw().cast_const();
    let table: Vec<Process> = tasks
        .iter()
        .map(|task| Process { host_name: text(&task.host), executable_name: text(&task.program), pid: task.pid })
        .collect();
    let table = Box::leak(table.into_boxed_slice());
    MPIR_proctable_size.store(i32::try_from(table.len()).unwrap_or(i32::MAX), Ordering::SeqCst);
    MPIR_proctable.store(table.as_mut_ptr(), Ordering::SeqCst);
    MPIR_debug_state.store(SPAWNED, Ordering::SeqCst);
    MPIR_Breakpoint();
}
