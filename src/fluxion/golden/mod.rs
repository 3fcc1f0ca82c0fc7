//! Command files of our own against small recipes, with what must come out.

mod formats;
mod hostile;
mod policies;
mod release;
mod scripts;
mod siblings;
mod state;
mod table;

use crate::query::{Host, Streams, parse_options, run};
use std::collections::BTreeMap;
use std::io;

/// Two racks of two nodes, each with two sockets of two cores, one gpu per socket and 4 GB in two pools.
pub(super) const RECIPE: &str = r#"<graphml>
<key id="root" for="node" attr.name="root"><default>0</default></key>
<key id="type" for="node" attr.name="type"/><key id="basename" for="node" attr.name="basename"/>
<key id="size" for="node" attr.name="size"><default>1</default></key>
<key id="unit" for="node" attr.name="unit"/>
<key id="scope" for="edge" attr.name="id_scope"><default>0</default></key>
<key id="scale" for="edge" attr.name="multi_scale"><default>1</default></key>
<graph id="small" edgedefault="directed">
<node id="c"><data key="root">1</data><data key="type">cluster</data><data key="basename">small</data></node>
<node id="r"><data key="type">rack</data><data key="basename">rack</data></node>
<node id="n"><data key="type">node</data><data key="basename">node</data></node>
<node id="s"><data key="type">socket</data><data key="basename">socket</data></node>
<node id="o"><data key="type">core</data><data key="basename">core</data></node>
<node id="g"><data key="type">gpu</data><data key="basename">gpu</data></node>
<node id="m"><data key="type">memory</data><data key="basename">memory</data><data key="size">2</data><data key="unit">GB</data></node>
<edge source="c" target="r"><data key="scale">2</data></edge>
<edge source="r" target="n"><data key="scope">1</data><data key="scale">2</data></edge>
<edge source="n" target="s"><data key="scale">2</data></edge>
<edge source="s" target="o"><data key="scope">1</data><data key="scale">2</data></edge>
<edge source="s" target="g"><data key="scope">1</data></edge>
<edge source="s" target="m"><data key="scope">1</data></edge>
</graph></graphml>"#;

/// A jobspec with these resources, for an hour.
pub(super) fn jobspec(resources: &str) -> String {
    jobspec_for(resources, "duration: 3600")
}

pub(super) fn jobspec_for(resources: &str, system: &str) -> String {
    format!(
        "version: 9999\nresources: {resources}\nattributes: {{system: {{{system}}}}}\n\
         tasks: [{{command: [a], slot: s, count: {{per_slot: 1}}}}]\n"
    )
}

/// One slot of so many cores.
pub(super) fn cores(count: u32) -> String {
    jobspec(&format!("[{{type: slot, count: 1, label: s, with: [{{type: core, count: {count}}}]}}]"))
}

/// So many whole nodes.
pub(super) fn nodes(count: u32) -> String {
    jobspec(&format!("[{{type: slot, count: {count}, label: s, with: [{{type: node, count: 1, exclusive: true}}]}}]"))
}

struct Files(BTreeMap<String, String>);

impl Host for Files {
    fn read(&mut self, path: &str) -> io::Result<String> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write(&mut self, path: &str, text: &str) -> io::Result<()> {
        self.0.insert(path.into(), text.into());
        Ok(())
    }

    fn clock(&mut self) -> f64 {
        0.0
    }
}

/// What the tool answers: results, and errors marked with `!`.
pub(super) fn answer(options: &str, files: &[(&str, String)], commands: &str) -> String {
    let mut files = Files(files.iter().map(|(name, text)| (name.to_string(), text.clone())).collect());
    files.0.entry("recipe".into()).or_insert_with(|| RECIPE.into());
    let words: Vec<String> = format!("-d -L recipe {options}").split_whitespace().map(str::to_string).collect();
    let options = parse_options(&words).expect("good options");
    let (mut results, mut out, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    let streams = Streams { results: &mut results, out: &mut out, errors: &mut errors };
    let done = run(&options, &mut files, &mut commands.as_bytes(), streams);
    let mut text = String::from_utf8(results).expect("results are text");
    for line in String::from_utf8(errors).expect("errors are text").lines() {
        text.push_str(&format!("! {line}\n"));
    }
    if let Err(error) = done {
        text.push_str(&format!("!! {error}\n"));
    }
    text
}

/// The answer with the indentation of resources and the rules left out, one line per match.
pub(super) fn brief(options: &str, files: &[(&str, String)], commands: &str) -> String {
    let text = answer(options, files, commands);
    let kept = text.lines().filter(|line| !line.contains("====="));
    let short = kept.map(|line| line.trim_start().trim_start_matches('-').trim_start_matches("INFO: "));
    short.collect::<Vec<_>>().join(" ").replace(" SCHEDULED", "\nSCHEDULED")
}
