//! Signals as readable events, their names, and the mask.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

pub use nix::sys::signal::Signal as Name;

/// A signal that was taken from a [`SignalQueue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    pub signal: i32,
    /// Who sent it; 0 when the kernel did.
    pub sender: i32,
}

/// Blocks some signals in this thread (and those it starts later) and reads them as events instead.
#[derive(Debug)]
pub struct SignalQueue(SignalFd);

impl SignalQueue {
    /// # Errors
    /// EMFILE; EINVAL for a number that is no signal.
    pub fn new(signals: &[i32]) -> io::Result<SignalQueue> {
        let mask = to_set(signals)?;
        mask.thread_block()?;
        Ok(SignalQueue(SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// The next signal; `None` when none is waiting. Equal signals may have been merged.
    ///
    /// # Errors
    /// As read(2); none in practice.
    pub fn next(&self) -> io::Result<Option<Received>> {
        let taken = self.0.read_signal()?;
        Ok(taken.map(|info| Received { signal: info.ssi_signo as i32, sender: info.ssi_pid as i32 }))
    }
}

impl AsFd for SignalQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Lets signals through again that a [`SignalQueue`] of this thread held.
///
/// # Errors
/// EINVAL for a number that is no signal.
pub fn unblock(signals: &[i32]) -> io::Result<()> {
    Ok(to_set(signals)?.thread_unblock()?)
}

/// Ignores a signal from now on. Processes started with [`crate::spawn`] get the default action back.
///
/// # Errors
/// EINVAL for numbers that are no signals or cannot be ignored.
pub fn ignore(signal: i32) -> io::Result<()> {
    set_action(signal, libc::SIG_IGN)
}

/// Gives a signal its default action: a client that prints into a closed pipe should end by SIGPIPE.
///
/// # Errors
/// As [`ignore`].
pub fn set_default(signal: i32) -> io::Result<()> {
    set_action(signal, libc::SIG_DFL)
}

fn set_action(signal: i32, action: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: SIG_IGN and SIG_DFL install no code.
    let former = unsafe { libc::signal(signal, action) };
    if former == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Ends this process by a signal, as if it had never been caught: a parent then sees what really happened.
pub fn die_by(signal: i32) -> ! {
    let _ = set_default(signal);
    let _ = unblock(&[signal]);
    let _ = crate::process::kill(crate::process::Pid::own(), signal);
    std::process::exit(128 + signal) // The default action of some signals is not to end the process.
}

fn to_set(signals: &[i32]) -> io::Result<SigSet> {
    signals.iter().map(|signal| Ok(Signal::try_from(*signal)?)).collect()
}

/// The number of a signal given as `15`, `TERM`, `term` or `SIGTERM`. `None` for anything else, also for 0.
pub fn by_name(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    name.parse::<Signal>().ok().map(|signal| signal as i32)
}

/// The name of a signal, `SIGTERM`; real-time ones are named by their number.
pub fn name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("SIG{signal}"), |known| known.as_str().to_string())
}

/// What a shell prints for a process ended by this signal, "Terminated".
pub fn description(signal: i32) -> &'static str {
    const TEXTS: &[(i32, &str)] = &[
        (libc::SIGHUP, "Hangup"),
        (libc::SIGINT, "Interrupt"),
        (libc::SIGQUIT, "Quit"),
        (libc::SIGILL, "Illegal instruction"),
        (libc::SIGTRAP, "Trace/breakpoint trap"),
        (libc::SIGABRT, "Aborted"),
        (libc::SIGBUS, "Bus error"),
        (libc::SIGFPE, "Floating point exception"),
        (libc::SIGKILL, "Killed"),
        (libc::SIGUSR1, "User defined signal 1"),
        (libc::SIGSEGV, "Segmentation fault"),
        (libc::SIGUSR2, "User defined signal 2"),
        (libc::SIGPIPE, "Broken pipe"),
        (libc::SIGALRM, "Alarm clock"),
        (libc::SIGTERM, "Terminated"),
        (libc::SIGSTKFLT, "Stack fault"),
        (libc::SIGCHLD, "Child exited"),
        (libc::SIGCONT, "Continued"),
        (libc::SIGSTOP, "Stopped (signal)"),
        (libc::SIGTSTP, "Stopped"),
        (libc::SIGTTIN, "Stopped (tty input)"),
        (libc::SIGTTOU, "Stopped (tty output)"),
        (libc::SIGURG, "Urgent I/O condition"),
        (libc::SIGXCPU, "CPU time limit exceeded"),
        (libc::SIGXFSZ, "File size limit exceeded"),
        (libc::SIGVTALRM, "Virtual timer expired"),
        (libc::SIGPROF, "Profiling timer expired"),
        (libc::SIGWINCH, "Window changed"),
        (libc::SIGIO, "I/O possible"),
        (libc::SIGPWR, "Power failure"),
        (libc::SIGSYS, "Bad system call"),
    ];
    TEXTS.iter().find(|(number, _)| *number == signal).map_or("Unknown signal", |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Pid, kill};

    #[test]
    fn signals_are_found_by_number_and_by_name() {
        let rows = [
            ("15", Some(15)),
            ("TERM", Some(15)),
            ("SIGTERM", Some(15)),
            ("sigkill", Some(9)),
            ("usr1", Some(10)),
            ("0", None),
            ("65", None),
            ("-9", None),
            ("NOSUCH", None),
            ("", None),
        ];
        for (text, want) in rows {
            assert_eq!(by_name(text), want, "input {text:?}");
        }
        assert_eq!((name(9).as_str(), name(40).as_str()), ("SIGKILL", "SIG40"));
        assert_eq!(description(libc::SIGTERM), "Terminated");
    }

    #[test]
    fn a_blocked_signal_is_read_from_the_queue() {
        // SIGWINCH: ignored by default, so a thread of the test harness that gets it first does no harm.
        let handle = std::thread::spawn(|| {
            let queue = SignalQueue::new(&[libc::SIGWINCH]).unwrap();
            assert_eq!(queue.next().unwrap(), None);
            nix::sys::signal::raise(Signal::SIGWINCH).unwrap(); // To this very thread.
            assert_eq!(queue.next().unwrap().map(|got| got.signal), Some(libc::SIGWINCH));
            unblock(&[libc::SIGWINCH]).unwrap();
        });
        handle.join().unwrap();
        kill(Pid::own(), 0).unwrap();
    }
}
