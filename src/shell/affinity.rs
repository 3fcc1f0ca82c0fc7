//! Which cores and GPUs each local task gets (flux-shell-options(7), cpu-affinity and gpu-affinity).

use flux_types::{Idset, IdsetFormat};

use crate::ShellError;

/// What the option asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Affinity {
    Off,
    /// Every task gets all that the job has on this node.
    On,
    PerTask,
    /// One set for each task, over and over.
    Map(Vec<Idset>),
}

/// How much is said of what tasks get, and whether they get it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    pub verbose: bool,
    pub dry_run: bool,
}

/// The words before the option itself: `verbose,` and `dry-run,`, the second of which implies the first.
pub fn manner(text: Option<&str>) -> Manner {
    let words: Vec<&str> =
        text.unwrap_or("").split(',').take_while(|word| ["verbose", "dry-run"].contains(word)).collect();
    let dry_run = words.contains(&"dry-run");
    Manner { verbose: dry_run || words.contains(&"verbose"), dry_run }
}

/// Reads `off`, `on`, `per-task`, `map:A;B;...`; `verbose` and `dry-run` may stand before it.
///
/// # Errors
/// [`ShellError::Option`]
pub fn parse(name: &'static str, text: Option<&str>) -> Result<Affinity, ShellError> {
    let mut text = text.unwrap_or("on");
    for word in ["verbose", "dry-run"] {
        text = text.strip_prefix(word).map_or(text, |rest| rest.strip_prefix(',').unwrap_or(rest));
    }
    let bad = |why: String| ShellError::Option { name, why };
    match text {
        "" | "on" | "1" => Ok(Affinity::On),
        "off" | "0" => Ok(Affinity::Off),
        "per-task" => Ok(Affinity::PerTask),
        _ => {
            let list = text.strip_prefix("map:").ok_or_else(|| bad(format!("{text:?} is not known")))?;
            let sets = list.split(';').map(|part| cpu_list(part.trim()));
            let sets: Option<Vec<Idset>> = sets.collect();
            Ok(Affinity::Map(sets.ok_or_else(|| bad(format!("{list:?} is no list of sets")))?))
        }
    }
}

/// `0-3,8`, or a mask: `0xff`, `0x1,0x00000000`.
fn cpu_list(text: &str) -> Option<Idset> {
    if !text.starts_with("0x") {
        return text.parse().ok();
    }
    let mut ids = Idset::new();
    for (word, part) in text.split(',').rev().enumerate() {
        let digits = part.strip_prefix("0x")?;
        for (at, digit) in digits.chars().rev().enumerate() {
            let bits = digit.to_digit(16)?;
            for bit in (0..4).filter(|bit| bits >> bit & 1 == 1) {
                ids.insert(word as u32 * 32 + at as u32 * 4 + bit);
            }
        }
    }
    Some(ids)
}

/// The set of local task `index` of `count`, out of what the job has here. `None`: no binding.
pub fn of_task(affinity: &Affinity, have: &Idset, index: u32, count: u32) -> Option<Idset> {
    match affinity {
        Affinity::Off => None,
        Affinity::On => Some(have.clone()),
        Affinity::Map(sets) => sets.get(index as usize % sets.len().max(1)).cloned(),
        Affinity::PerTask => {
            let (total, count, index) = (have.count() as u64, u64::from(count.max(1)), u64::from(index));
            if total == 0 {
                return Some(Idset::new());
            }
            let ids: Vec<u32> = have.iter().collect();
            if total >= count {
                // The first `total % count` tasks get one more.
                let (each, more) = (total / count, total % count);
                let first = index * each + index.min(more);
                let len = each + u64::from(index < more);
                Some(ids[first as usize..(first + len) as usize].iter().copied().collect())
            } else {
                // More tasks than there is: neighbours share.
                Some([ids[(index * total / count) as usize]].into_iter().collect())
            }
        }
    }
}

/// The value of `CUDA_VISIBLE_DEVICES`: `0,1`, or `-1` where the task gets none.
pub fn visible_devices(gpus: &Idset) -> String {
    if gpus.is_empty() { "-1".to_owned() } else { gpus.encode(IdsetFormat::PLAIN) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_the_manual_says() {
        let set = |text: &str| text.parse::<Idset>().unwrap();
        let rows = [
            (None, Affinity::On),
            (Some("off"), Affinity::Off),
            (Some("verbose,per-task"), Affinity::PerTask),
            (Some("dry-run"), Affinity::On),
            (Some("map:0-1;2-3;5"), Affinity::Map(vec![set("0-1"), set("2-3"), set("5")])),
            (Some("map:0xf;0x1,0x00000001"), Affinity::Map(vec![set("0-3"), set("0,32")])),
        ];
        for (text, want) in rows {
            assert_eq!(parse("cpu-affinity", text).unwrap(), want, "{text:?}");
        }
        assert!(parse("cpu-affinity", Some("map:x")).is_err());
        assert!(parse("cpu-affinity", Some("sideways")).is_err());
    }

    #[test]
    fn per_task_sets_are_even_and_cover_everything() {
        let have: Idset = "0-7".parse().unwrap();
        let rows = [(2, 8, ["0-3", "4-7"]), (3, 8, ["0-2", "3-5"]), (16, 8, ["0", "0"])];
        for (count, _, want) in rows {
            for (index, want) in want.iter().enumerate() {
                let got = of_task(&Affinity::PerTask, &have, index as u32, count).unwrap();
                assert_eq!(got, want.parse().unwrap(), "task {index} of {count}");
            }
        }
        for count in 1..20 {
            let mut all = Idset::new();
            (0..count).for_each(|i| all.extend_from(&of_task(&Affinity::PerTask, &have, i, count).unwrap()));
            assert_eq!(all, have, "{count} tasks");
        }
        assert_eq!(visible_devices(&Idset::new()), "-1");
        assert_eq!(visible_devices(&"0-2".parse().unwrap()), "0,1,2");
    }
}
