//! What a guest's job costs beside one of the instance's owner, measured in one run (`tests/guests/cost.sh`).

use crate::Outcome;
use crate::run::{output, root, target};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `[FLUX [IMP]]`: the programs to measure; the IMP may be the small one (`cargo build --release -p flux-imp`). As root.
pub(crate) fn main(args: &[String]) -> Outcome {
    let flux = args.first().map_or_else(|| target().join("dist/flux"), PathBuf::from);
    let imp = args.get(1).map_or_else(|| flux.clone(), PathBuf::from);
    let site = PathBuf::from(format!("/tmp/flux-cost-{}", std::process::id()));
    fs::create_dir(&site).map_err(|error| format!("{}: {error}", site.display()))?;
    let done = measure(&flux, &imp, &site);
    let _ = fs::remove_dir_all(&site); // What is left is in the way of nobody.
    println!("{}", done?.trim());
    Ok(())
}

fn measure(flux: &Path, imp: &Path, site: &Path) -> Result<String, String> {
    let scripts = root().join("tests/guests");
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", "300", "unshare", "-m", "-p", "-f", "--kill-child", "--mount-proc", "bash", "-c"]);
    command.arg(format!(". {0}/site.sh; . {0}/cost.sh", scripts.display()));
    command.env("ROOT", site).env("FLUX", flux).env("IMP", imp).env("JOBS", "100").env("ACCESS", "").env("MORE", "");
    command.env("EXEC", format!("imp = \"{}/bin/flux-imp\"", site.display()));
    let (good, text) = output(&mut command)?;
    if good { Ok(text) } else { Err(text) }
}
