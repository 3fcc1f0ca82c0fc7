//! The guest: its disk, its console, and its power switch.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

use super::PATIENCE;
use crate::Outcome;
use crate::run::{have, output, target};

const NEEDED: &[(&str, &str)] =
    &[("qemu-system-x86_64", "qemu-system-x86"), ("busybox", "busybox-static"), ("mke2fs", "e2fsprogs")];
const KERNEL_PACKAGE: &str = "linux-image-cloud-amd64";
const BUSYBOX_NAMES: &[&str] = &["sh", "mount", "hostname", "ip", "sed", "poweroff"];
const CONFIG: &str = "[resource]\nnoverify = true\n[[resource.config]]\nhosts = \"guest\"\ncores = \"0-1\"\n";
const DISK_SIZE: &str = "1g";
/// `no_timer_check`: on a busy host the emulated timer may be late, and the kernel would give up.
const KERNEL_ARGS: &str =
    "console=ttyS0 loglevel=4 no_timer_check panic=-1 root=/dev/nvme0n1 rw rootwait init=/bin/sh -- /init.sh";

/// The kernel, and the disk that outlives the cuts.
pub(super) struct Image {
    kernel: PathBuf,
    dir: PathBuf,
}

impl Image {
    /// Makes a fresh disk with nothing on it but this program, busybox and two scripts.
    pub(super) fn new(flux: &Path) -> Result<Image, String> {
        let kernel = kernel();
        let mut missing: Vec<&str> =
            NEEDED.iter().filter(|(name, _)| !have(name)).map(|(_, package)| *package).collect();
        missing.extend(kernel.is_none().then_some(KERNEL_PACKAGE));
        let Some(kernel) = kernel.filter(|_| missing.is_empty()) else {
            return Err(format!("run `apt-get install --no-install-recommends {}` first", missing.join(" ")));
        };
        let image = Image { kernel, dir: target().join(format!("power-{}", std::process::id())) };
        image.fill(flux).map_err(|error| format!("{}: {error}", image.dir.display()))?;
        let tree = image.dir.join("root");
        let mut mke2fs = Command::new("mke2fs");
        mke2fs.args(["-q", "-F", "-t", "ext4", "-d"]).args([&tree, &image.disk()]).arg(DISK_SIZE);
        let (ok, text) = output(&mut mke2fs)?;
        if ok { Ok(image) } else { Err(format!("mke2fs: {text}")) }
    }

    fn fill(&self, flux: &Path) -> std::io::Result<()> {
        let tree = self.dir.join("root");
        let _ = fs::remove_dir_all(&self.dir); // It may not exist yet.
        for dir in ["bin", "etc", "proc", "sys", "dev", "run", "tmp", "state"] {
            fs::create_dir_all(tree.join(dir))?;
        }
        fs::copy(flux, tree.join("bin/flux"))?;
        fs::copy(which("busybox"), tree.join("bin/busybox"))?;
        for name in BUSYBOX_NAMES {
            symlink("busybox", tree.join("bin").join(name))?;
        }
        fs::write(tree.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n")?;
        fs::write(tree.join("etc/group"), "root:x:0:\n")?;
        fs::write(tree.join("flux.toml"), CONFIG)?;
        fs::write(tree.join("init.sh"), include_str!("init.sh"))?;
        fs::write(tree.join("submit.sh"), include_str!("submit.sh"))
    }

    pub(super) fn disk(&self) -> PathBuf {
        self.dir.join("disk")
    }

    pub(super) fn delete(self) -> Outcome {
        fs::remove_dir_all(&self.dir).map_err(|error| format!("{}: {error}", self.dir.display()))
    }
}

/// The newest kernel of the package: ext4 and NVMe are built into it, so the guest needs no modules.
fn kernel() -> Option<PathBuf> {
    let entries = fs::read_dir("/boot").ok()?;
    let files = entries.flatten().map(|entry| entry.path());
    files
        .filter(|path| path.to_string_lossy().contains("/vmlinuz-") && path.to_string_lossy().contains("-cloud-"))
        .max()
}

fn which(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file()).unwrap_or_else(|| name.into())
}

/// One line of the console, as the scripts write them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The disk is mounted; the broker is about to start.
    Up,
    /// The broker serves; ids that it knows follow.
    List,
    /// Ids that were just submitted follow.
    Submit,
    Id(String),
    /// Something ended that should not have.
    End,
    /// Messages of the kernel and of the broker.
    Other,
}

fn said(line: &str) -> Said {
    match line {
        "@up" => Said::Up,
        "@list" => Said::List,
        "@submit" => Said::Submit,
        _ if line.starts_with("@end") => Said::End,
        _ => match line.strip_prefix('f') {
            Some(rest) if !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric()) => {
                Said::Id(line.to_owned())
            }
            _ => Said::Other,
        },
    }
}

/// A running guest. When it is dropped, its power is cut.
pub(super) struct Guest {
    qemu: Child,
    lines: Receiver<String>,
    console: Vec<String>,
    submitting: bool,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

impl Guest {
    pub(super) fn boot(image: &Image) -> Result<Guest, String> {
        // `directsync`: a write of the guest's kernel is on the disk when it ends, and nothing else ever is.
        let drive = format!("file={},format=raw,if=none,id=disk,cache=directsync", image.disk().display());
        let mut qemu = Command::new("qemu-system-x86_64")
            .args(["-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"])
            .args(["-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "1024", "-kernel"])
            .arg(&image.kernel)
            .args(["-append", KERNEL_ARGS])
            .args(["-drive", &drive, "-device", "nvme,drive=disk,serial=flux"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("qemu-system-x86_64: {error}"))?;
        let stdout = qemu.stdout.take().expect("stdout was piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || read_console(BufReader::new(stdout), &sender));
        Ok(Guest { qemu, lines, console: Vec::new(), submitting: false })
    }

    fn next(&mut self) -> Result<Said, String> {
        let line = match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => return Err(self.complain("the guest is silent")),
            Err(RecvTimeoutError::Disconnected) => return Err(self.complain("the guest stopped")),
        };
        let said = said(&line);
        self.submitting |= said == Said::Submit;
        self.console.push(line);
        match said {
            Said::End => Err(self.complain("the broker or its client failed")),
            said => Ok(said),
        }
    }

    /// An error with the end of the console.
    fn complain(&mut self, what: &str) -> String {
        self.console.extend(self.lines.try_iter());
        let from = self.console.len().saturating_sub(40);
        format!("{what}; its console ends with\n{}", self.console[from..].join("\n"))
    }

    pub(super) fn until(&mut self, what: &Said) -> Outcome {
        while self.next()? != *what {}
        Ok(())
    }

    /// The ids of all jobs, once the broker serves.
    pub(super) fn known(&mut self) -> Result<BTreeSet<String>, String> {
        self.until(&Said::List)?;
        let mut known = BTreeSet::new();
        loop {
            match self.next()? {
                Said::Id(id) => drop(known.insert(id)),
                Said::Submit => return Ok(known),
                _ => {}
            }
        }
    }

    /// The next id that was submitted.
    pub(super) fn next_id(&mut self) -> Result<String, String> {
        loop {
            if let Said::Id(id) = self.next()? {
                return Ok(id);
            }
        }
    }

    /// Cuts the power; answers the ids that were submitted and not yet read.
    pub(super) fn cut(mut self) -> Vec<String> {
        let _ = self.qemu.kill();
        let mut ids = Vec::new();
        for line in self.lines.iter() {
            match said(&line) {
                Said::Submit => self.submitting = true,
                Said::Id(id) if self.submitting => ids.push(id),
                _ => {}
            }
        }
        ids
    }
}

/// Sends whole lines only: of the last one the power cut may have taken a part.
fn read_console(mut console: impl BufRead, sender: &Sender<String>) {
    let mut line = Vec::new();
    while console.read_until(b'\n', &mut line).is_ok() && line.ends_with(b"\n") {
        if sender.send(String::from_utf8_lossy(&line).trim().to_owned()).is_err() {
            return;
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_line_is_an_id_a_marker_or_noise() {
        let rows = [
            ("@up", Said::Up),
            ("@list", Said::List),
            ("@submit", Said::Submit),
            ("@end submit failed", Said::End),
            ("fABC123", Said::Id("fABC123".to_owned())),
            ("f", Said::Other),
            ("flux-broker: fine", Said::Other),
            ("[    1.2] nvme nvme0", Said::Other),
            ("", Said::Other),
        ];
        for (line, want) in rows {
            assert_eq!(said(line), want, "line {line:?}");
        }
    }

    #[test]
    fn a_line_that_was_cut_off_is_not_an_id() {
        let (sender, lines) = channel();
        read_console(&b"fABC\r\nfAB"[..], &sender);
        drop(sender);
        assert_eq!(lines.iter().collect::<Vec<_>>(), ["fABC"]);
    }
}
