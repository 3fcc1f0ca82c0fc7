//! `{{tags}}` in paths, arguments and environment values (flux-submit(1), "MUSTACHE TEMPLATES").

use flux_types::{IdsetFormat, JobId, JobIdForm};

use crate::bundle::Node;
use crate::limits::TEMPLATE_LEN_MAX;

/// What tags stand for. Without a task, `task.*` tags stay as they are.
#[derive(Clone, Copy, Debug)]
pub struct Tags<'a> {
    pub id: JobId,
    pub name: &'a str,
    pub ntasks: usize,
    pub nnodes: usize,
    pub tmpdir: &'a str,
    pub shell_rank: u32,
    pub node: &'a Node,
    /// Global rank and local index.
    pub task: Option<(u32, u32)>,
}

/// Replaces the tags that are known; unknown ones stay.
pub fn render(template: &str, tags: &Tags<'_>) -> String {
    render_some(template, tags, |_| true)
}

/// As [`render`], but for tags that are not the same for all nodes and tasks, which stay.
pub fn render_for_job(template: &str, tags: &Tags<'_>) -> String {
    render_some(template, tags, |tag| scope(tag) == Scope::Job)
}

fn render_some(template: &str, tags: &Tags<'_>, wanted: fn(&str) -> bool) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find("{{") {
        let Some(len) = rest[at..].find("}}") else { break };
        let (before, tagged) = rest.split_at(at);
        out.push_str(before);
        let (tag, after) = (&tagged[..len + 2], &tagged[len + 2..]);
        let name = tag[2..len].trim();
        match value(name, tags).filter(|_| wanted(tag)) {
            Some(text) => out.push_str(&text),
            None => out.push_str(tag),
        }
        rest = after;
        if out.len() > TEMPLATE_LEN_MAX {
            break;
        }
    }
    out.push_str(rest);
    out
}

/// How many files a path template names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Job,
    Node,
    Task,
}

pub fn scope(template: &str) -> Scope {
    let tags = template.split("{{").skip(1).filter_map(|part| part.split_once("}}")).map(|(name, _)| name.trim());
    let mut scope = Scope::Job;
    for name in tags {
        if name == "taskid" || name.starts_with("task.") {
            return Scope::Task;
        }
        if name.starts_with("node.") || name == "tmpdir" {
            scope = Scope::Node;
        }
    }
    scope
}

fn value(name: &str, tags: &Tags<'_>) -> Option<String> {
    let idset = |ids: &flux_types::Idset| ids.encode(IdsetFormat::RANGE);
    Some(match name {
        "id" | "jobid" => tags.id.encode(JobIdForm::F58),
        "name" => tags.name.to_owned(),
        "ntasks" | "size" => tags.ntasks.to_string(),
        "nnodes" => tags.nnodes.to_string(),
        "tmpdir" => tags.tmpdir.to_owned(),
        "node.id" => tags.shell_rank.to_string(),
        "node.name" => tags.node.host.clone(),
        "node.broker_rank" => tags.node.rank.to_string(),
        "node.cores" => idset(&tags.node.cores),
        "node.gpus" => idset(&tags.node.gpus),
        "node.ncores" => tags.node.cores.count().to_string(),
        "taskid" | "task.id" | "task.rank" => tags.task?.0.to_string(),
        "task.index" | "task.localid" => tags.task?.1.to_string(),
        _ => {
            let form = name.strip_prefix("id.").or_else(|| name.strip_prefix("jobid."))?;
            tags.id.encode(JobIdForm::from_name(form)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_tags_are_replaced_and_unknown_ones_stay() {
        let node = Node { rank: 3, host: "n7".into(), cores: "0-3".parse().unwrap(), gpus: "1".parse().unwrap() };
        let tags = Tags {
            id: JobId(1234),
            name: "app",
            ntasks: 8,
            nnodes: 2,
            tmpdir: "/tmp/x",
            shell_rank: 1,
            node: &node,
            task: Some((5, 1)),
        };
        let rows = [
            ("plain", "plain", Scope::Job),
            ("{{id.dec}}-{{jobid}}", "1234-ƒNH", Scope::Job),
            ("{{name}}.{{size}}.{{nnodes}}", "app.8.2", Scope::Job),
            ("{{node.name}}/{{node.id}} {{node.broker_rank}} {{node.cores}}", "n7/1 3 0-3", Scope::Node),
            ("{{taskid}}:{{task.localid}}:{{ task.rank }}", "5:1:5", Scope::Task),
            ("{{tmpdir}}/f", "/tmp/x/f", Scope::Node),
            ("{{nope}} {{id", "{{nope}} {{id", Scope::Job),
            ("{{id.bogus}}", "{{id.bogus}}", Scope::Job),
        ];
        for (template, want, want_scope) in rows {
            assert_eq!(render(template, &tags), want, "{template}");
            assert_eq!(scope(template), want_scope, "{template}");
        }
        assert_eq!(render("{{taskid}}", &Tags { task: None, ..tags }), "{{taskid}}");
    }
}
