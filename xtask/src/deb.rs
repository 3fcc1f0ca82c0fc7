//! Debian packages: `flux` with `libpmi.so` (and `libpmi2.so`) beside it, and `flux-imp-pam`, the one program that is linked dynamically.

use crate::run::{cargo, output, root, run, target};
use crate::{Outcome, dist};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the IMP, its package's part for PAM, and the shell are.
const LIBEXEC: &str = "usr/libexec/flux";

/// Configuration of the package: what it is in the tree, and where it goes.
const CONFIGURATION: &[(&str, &str)] = &[
    ("packaging/etc/system/conf.d/system.toml", "etc/flux/system/conf.d/system.toml"),
    ("packaging/etc/security/conf.d/sign.toml", "etc/flux/security/conf.d/sign.toml"),
    ("packaging/etc/imp/conf.d/imp.toml", "etc/flux/imp/conf.d/imp.toml"),
];

/// Other files that are copied as they are.
const FILES: &[(&str, &str)] = &[
    ("packaging/etc/system/conf.d/system.toml.example", "usr/share/doc/flux/examples/cluster.toml"),
    ("systemd/flux.service", "usr/lib/systemd/system/flux.service"),
    ("NOTICE", "usr/share/doc/flux/NOTICE"),
    ("LICENSE-MIT", "usr/share/doc/flux/copyright"),
    ("doc/security.md", "usr/share/doc/flux/security.md"),
];

/// What runs around jobs, if the instance is configured so.
const KINDS: [&str; 3] = ["prolog", "epilog", "housekeeping"];

/// Builds `target/dist/*.deb`. For a try, `--to DIRECTORY`, and `--with FLUX IMP PAM PMI`: of files that are there, and not compressed.
pub(crate) fn main(args: &[String]) -> Outcome {
    let (out, rest) = match args {
        [to, out, rest @ ..] if to == "--to" => (PathBuf::from(out), rest),
        rest => (target().join("dist"), rest),
    };
    let (programs, compression) = match rest {
        [] => (build()?, "-Zxz"),
        [with, flux, imp, pam, pmi] if with == "--with" => ([flux, imp, pam, pmi].map(PathBuf::from), "-Znone"),
        _ => return Err("usage: cargo xtask deb [--to DIRECTORY] [--with FLUX IMP PAM PMI]".to_owned()),
    };
    fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let (good, arch) = output(Command::new("dpkg").arg("--print-architecture"))?;
    let arch = arch.trim();
    if !good {
        return Err(format!("dpkg: {arch}"));
    }
    let trees = out.join("deb.trees");
    for package in [flux(&trees, &programs, arch)?, pam(&trees, &programs[2], arch)?] {
        let file = out.join(format!("{}_{}_{arch}.deb", package.name, env!("CARGO_PKG_VERSION")));
        package.build(&file, compression)?;
        println!("{}", file.display());
    }
    fs::remove_dir_all(&trees).map_err(|error| format!("{}: {error}", trees.display()))
}

/// The one program, the IMP alone as a small static one, its part for PAM, and the library for programs that load one.
fn build() -> Result<[PathBuf; 4], String> {
    let flux = dist::build()?;
    let imp = ["rustc", "--release", "--locked", "-p", "flux-imp", "--bin", "flux-imp", "--"];
    run(cargo().args(imp).args(["-C", "target-feature=+crt-static"]))?;
    run(cargo().args(["build", "--release", "--locked", "-p", "flux-imp-pam", "-p", "flux-pmi"]))?;
    let release = target().join("release");
    Ok([flux, release.join("flux-imp"), release.join("flux-imp-pam"), release.join("libpmi.so")])
}

/// A tree to be packed.
struct Package {
    name: &'static str,
    tree: PathBuf,
}

impl Package {
    fn new(trees: &Path, name: &'static str, arch: &str, fields: &str) -> Result<Package, String> {
        let tree = trees.join(name);
        let _ = fs::remove_dir_all(&tree); // Of an earlier run.
        let package = Package { name, tree };
        let version = env!("CARGO_PKG_VERSION");
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {arch}\nMaintainer: The authors of flux <flux@localhost>\n\
             Section: admin\nPriority: optional\n{fields}"
        );
        package.write("DEBIAN/control", &control, 0o644)?;
        Ok(package)
    }

    fn place(&self, path: &str) -> Result<PathBuf, String> {
        let to = self.tree.join(path);
        let made = to.parent().map_or(Ok(()), fs::create_dir_all);
        made.map(|()| to).map_err(|error| format!("{path}: {error}"))
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>, mode: u32) -> Outcome {
        let to = self.place(path)?;
        let written = fs::write(&to, text).and_then(|()| fs::set_permissions(&to, fs::Permissions::from_mode(mode)));
        written.map_err(|error| format!("{}: {error}", to.display()))
    }

    fn copy(&self, from: &Path, path: &str, mode: u32) -> Outcome {
        let content = fs::read(from).map_err(|error| format!("{}: {error}", from.display()))?;
        self.write(path, content, mode)
    }

    fn link(&self, path: &str, to: &str) -> Outcome {
        symlink(to, self.place(path)?).map_err(|error| format!("{path}: {error}"))
    }

    /// A name that stays what it is when its path is resolved.
    fn hard_link(&self, path: &str, to: &str) -> Outcome {
        fs::hard_link(self.tree.join(to), self.place(path)?).map_err(|error| format!("{path}: {error}"))
    }

    /// All files are root's, whoever builds.
    fn build(&self, file: &Path, compression: &str) -> Outcome {
        // Directories as a package has them, whatever our umask is.
        run(Command::new("find").arg(&self.tree).args(["-type", "d", "-exec", "chmod", "755", "{}", "+"]))?;
        run(Command::new("dpkg-deb").args(["--root-owner-group", compression, "--build"]).arg(&self.tree).arg(file))
    }
}

fn flux(trees: &Path, [program, imp, _, pmi]: &[PathBuf; 4], arch: &str) -> Result<Package, String> {
    let package = Package::new(
        trees,
        "flux",
        arch,
        "Depends: passwd\nSuggests: munge, flux-imp-pam\nDescription: resource manager for clusters, and for one's own machine\n \
         Brokers, scheduler, job shell and command line in one static program, and the\n IMP, which runs jobs as the users \
         who signed them.\n",
    )?;
    package.copy(program, "usr/bin/flux", 0o755)?;
    for name in ["resource-query", "grug2dot"] {
        package.hard_link(&format!("usr/bin/{name}"), "usr/bin/flux")?;
    }
    for name in ["flux-broker", "flux-shell"] {
        package.link(&format!("{LIBEXEC}/{name}"), "../../bin/flux")?;
    }
    // It gets its rights when the package is configured (packaging/deb/postinst).
    package.copy(imp, &format!("{LIBEXEC}/flux-imp"), 0o755)?;
    package.copy(pmi, "usr/lib/flux/libpmi.so", 0o644)?;
    package.link("usr/lib/flux/libpmi2.so", "libpmi.so")?;
    for (from, to) in CONFIGURATION.iter().chain(FILES) {
        package.copy(&root().join(from), to, 0o644)?;
    }
    scripts(&package)?;
    let listed: String = CONFIGURATION.iter().map(|(_, to)| format!("/{to}\n")).collect();
    package.write("DEBIAN/conffiles", listed, 0o644)?;
    for script in ["postinst", "prerm", "postrm"] {
        package.copy(&root().join("packaging/deb").join(script), &format!("DEBIAN/{script}"), 0o755)?;
    }
    documents(&package, program)?;
    Ok(package)
}

/// What the IMP runs around jobs, the units that are started for it, and where a site puts its scripts.
fn scripts(package: &Package) -> Outcome {
    let unit = root().join("systemd/flux-scripts@.service");
    let unit = fs::read_to_string(&unit).map_err(|error| format!("{}: {error}", unit.display()))?;
    for kind in KINDS {
        let name = format!("{LIBEXEC}/cmd/flux-run-{kind}");
        package.copy(&root().join("packaging/libexec/flux-run-scripts"), &name, 0o755)?;
        let name = format!("usr/lib/systemd/system/flux-{kind}@.service");
        package.write(&name, unit.replace("KIND", kind), 0o644)?;
        for dir in [format!("{LIBEXEC}/{kind}.d"), format!("etc/flux/system/{kind}.d")] {
            package.place(&format!("{dir}/x"))?; // Makes the directory.
        }
    }
    Ok(())
}

/// Manual pages and completions, of the program's own definitions.
fn documents(package: &Package, program: &Path) -> Outcome {
    let pages = package.place("usr/share/man/man1/x")?.with_file_name("");
    run(Command::new(program).args(["help", "--man-pages"]).arg(&pages))?;
    run(Command::new("find").arg(&pages).args(["-name", "*.1", "-exec", "gzip", "-9n", "{}", "+"]))?;
    for (shell, to) in [
        ("bash", "usr/share/bash-completion/completions/flux"),
        ("zsh", "usr/share/zsh/vendor-completions/_flux"),
        ("fish", "usr/share/fish/vendor_completions.d/flux.fish"),
    ] {
        let (good, script) = output(Command::new(program).args(["help", "--completion", shell]))?;
        if !good {
            return Err(script);
        }
        package.write(to, script, 0o644)?;
    }
    Ok(())
}

fn pam(trees: &Path, program: &Path, arch: &str) -> Result<Package, String> {
    let package = Package::new(
        trees,
        "flux-imp-pam",
        arch,
        "Depends: flux, libc6, libpam0g\nDescription: sessions of PAM for jobs of flux\n Opens a session of the service flux \
         around each job that the IMP starts, where\n exec.pam-support is set.\n",
    )?;
    package.copy(program, &format!("{LIBEXEC}/flux-imp-pam"), 0o755)?;
    package.copy(&root().join("packaging/etc/pam.d/flux"), "etc/pam.d/flux", 0o644)?;
    package.copy(&root().join("LICENSE-MIT"), "usr/share/doc/flux-imp-pam/copyright", 0o644)?;
    package.write("DEBIAN/conffiles", "/etc/pam.d/flux\n", 0o644)?;
    Ok(package)
}
