//! Which devices a job may open: a program of the kernel's for the cgroup of the job, which refuses all others (RFC 15 leaves it to
//! the implementation; the input is flux-security's).

use crate::limits::DEVICES_MAX;
use crate::privileged;
use std::path::Path;

/// The kernel's numbers: a program for devices, and where it is attached (`BPF_PROG_TYPE_CGROUP_DEVICE`, `BPF_CGROUP_DEVICE`).
const PROGRAM_TYPE: u64 = 15;
const ATTACH_TYPE: u64 = 6;
/// Beside programs of others, which must allow it, too (`BPF_F_ALLOW_MULTI`).
const ALLOW_MULTI: u64 = 2;

/// Leaves the processes of a cgroup the listed devices and no others: `TYPE:MAJOR:MINOR:ACCESS`, separated by spaces.
///
/// # Errors
/// A text; then no job may be started.
pub(crate) fn contain(cgroup: Option<&Path>, devices: &str) -> Result<(), String> {
    let cgroup = cgroup.ok_or("device containment is asked for, but the job has no cgroup of its own")?;
    let fail = |error: std::io::Error| format!("device containment: {}: {error}", cgroup.display());
    let program = program(devices).ok_or("the list of devices of the unprivileged child is malformed")?;
    let directory = std::fs::File::open(cgroup).map_err(fail)?;
    privileged::attach(&directory, &program, [PROGRAM_TYPE, ATTACH_TYPE | ALLOW_MULTI << 32])
        .map_err(|error| fail(error.into()))
}

/// One instruction of the kernel's machine.
fn word(code: u8, to: u8, from: u8, skip: usize, value: u32) -> u64 {
    let registers = u64::from(from << 4 | to) << 8;
    u64::from(code) | registers | (skip as u64) << 16 | u64::from(value) << 32
}

/// Asked with kind and access in the halves of one word, major, and minor number. It answers 1 or 0.
fn program(devices: &str) -> Option<Vec<u64>> {
    const LOAD: u8 = 0x61;
    const IF_SET: u8 = 0x45;
    const IF_OTHER: u8 = 0x55;
    let answer = |value| [word(0xb7, 0, 0, 0, value), word(0x95, 0, 0, 0, 0)];
    let mut code = vec![word(LOAD, 2, 1, 0, 0), word(LOAD, 3, 1, 4, 0), word(LOAD, 4, 1, 8, 0)];
    code.extend([word(0xbf, 5, 2, 0, 0), word(0x57, 5, 0, 0, 0xffff)]); // The kind alone.
    for (nth, device) in devices.split_ascii_whitespace().enumerate() {
        let fields: Vec<&str> = device.split(':').collect();
        let [kind, major, minor, access] = fields[..] else { return None };
        let kind = ["b", "c"].iter().position(|known| *known == kind)? as u32 + 1;
        let bit = |letter: char| "mrw".find(letter).map(|at| 1 << at);
        let granted = access.chars().try_fold(0_u32, |all, letter| Some(all | bit(letter)?))?;
        let mut tests = vec![(IF_SET, 2, !granted << 16), (IF_OTHER, 5, kind), (IF_OTHER, 3, major.parse().ok()?)];
        tests.extend((minor != "*").then(|| minor.parse().map(|minor| (IF_OTHER, 4, minor))).transpose().ok()?);
        let len = tests.len();
        // One that fails skips the rest of this device: the tests after it, and the answer.
        code.extend(tests.iter().enumerate().map(|(at, (test, of, value))| word(*test, *of, 0, len + 1 - at, *value)));
        code.extend(answer(1));
        (nth < DEVICES_MAX).then_some(())?;
    }
    code.extend(answer(0));
    Some(code)
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
