//! `cargo xtask crash --power`: cuts the power of a machine that submits jobs, and proves that nothing was lost.
//!
//! The machine is a qemu guest whose disk caches nothing: what its kernel did not write out dies with it. Every boot
//! checks what the cuts before it left: the broker starts on its state directory, and every id that any boot printed is
//! known. Then it submits until the next cut. Every fourth cut comes before that, while the broker recovers. The oracle
//! is the set of lines that reached the console; it shares no code with the broker.

mod guest;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::Outcome;
use crate::crash::{Options, Random};
use guest::{Guest, Image, Said};

const RUNS: u32 = 50;
/// A cut comes after at most this many new ids, and then at most this much later.
const IDS_MAX: u64 = 70;
const LATER_MAX_MS: u64 = 300;
/// How long recovery may take until a cut that is to hit it.
const RECOVERY_MS: u64 = 2000;
/// How long the guest may be silent before it counts as stuck. It runs without hardware support, perhaps beside a build.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) fn main(args: &[String]) -> Outcome {
    let options = Options::parse(args, RUNS)?;
    let image = Image::new(&options.flux)?;
    cut_often(&image, &options).map_err(|why| format!("{why}\nthe disk is kept: {}", image.disk().display()))?;
    image.delete()
}

fn cut_often(image: &Image, options: &Options) -> Outcome {
    let (runs, seed) = (options.runs, options.seed);
    let mut random = Random::new(seed);
    let mut printed = BTreeSet::new();
    for run in 1..=runs {
        let early = run % 4 == 0;
        let report = one_boot(image, early, &mut printed, &mut random);
        let report = report.map_err(|why| format!("boot {run}, seed {seed}: {why}"))?;
        println!("power: cut {run} of {runs}: {report}");
    }
    let mut guest = Guest::boot(image)?;
    check_known(&mut guest, &printed).map_err(|why| format!("last boot, seed {seed}: {why}"))?;
    println!("power: {} ids were printed before {runs} cuts, and all are known (seed {seed})", printed.len());
    Ok(())
}

/// Boots, checks what is there, submits, and cuts the power; answers what happened.
fn one_boot(image: &Image, early: bool, printed: &mut BTreeSet<String>, random: &mut Random) -> Result<String, String> {
    let mut guest = Guest::boot(image)?;
    if early {
        guest.until(&Said::Up)?;
        let later = random.millis(RECOVERY_MS);
        std::thread::sleep(later);
        let before = printed.len();
        printed.extend(guest.cut());
        return Ok(format!("{} ms after the disk was mounted, {} new ids", later.as_millis(), printed.len() - before));
    }
    let known = check_known(&mut guest, printed)?;
    let wanted = 1 + random.below(IDS_MAX);
    let mut fresh = BTreeSet::new();
    while (fresh.len() as u64) < wanted {
        fresh.insert(guest.next_id()?);
    }
    std::thread::sleep(random.millis(LATER_MAX_MS));
    fresh.extend(guest.cut());
    let report = format!("{} ids from before were known ({known} jobs), {} new ids", printed.len(), fresh.len());
    printed.extend(fresh);
    Ok(report)
}

/// Every id that was printed is known after the boot; answers how many jobs are.
fn check_known(guest: &mut Guest, printed: &BTreeSet<String>) -> Result<usize, String> {
    let known = guest.known()?;
    let lost: Vec<&String> = printed.difference(&known).collect();
    match lost.first() {
        None => Ok(known.len()),
        Some(first) => {
            Err(format!("{} ids were printed and are not known, {first} the first ({} known)", lost.len(), known.len()))
        }
    }
}
