//! All commands. The order is that of `flux help`.

use crate::commands::*;
use crate::frame::{Entry, Group};

macro_rules! commands {
    ($($group:ident $exit:literal $name:literal $module:path, $summary:literal;)*) => {
        /// Every command that is part of this program.
        pub(crate) const COMMANDS: &[Entry] = &[$(commands!(@row $group $exit $name $module, $summary)),*];
    };
    (@row $group:ident $exit:literal $name:literal $module:path, $summary:literal) => {{
        use $module as module;
        Entry {
            name: $name,
            group: Group::$group,
            summary: $summary,
            usage_exit: $exit,
            command: module::command,
            run: module::run,
        }
    }};
}

// Group, exit code for a wrong command line, name, module, summary.
commands! {
    Submit 2 "run" crate::submit::run, "run a Flux job interactively";
    Submit 2 "submit" crate::submit::single, "submit a job to a Flux instance";
    Submit 2 "bulksubmit" crate::submit::bulk, "submit jobs in bulk to a Flux instance";
    Submit 2 "alloc" crate::submit::nest::alloc, "allocate a new Flux instance for interactive use";
    Submit 2 "batch" crate::submit::nest::batch, "submit a batch script to Flux";
    Submit 2 "tree" tree, "run a script in the leaves of a tree of instances";
    Jobs 2 "watch" crate::submit::follow, "monitor one or more Flux jobs";
    Jobs 2 "jobs" crate::jobs, "list jobs submitted to Flux";
    Jobs 2 "explain" crate::jobs::explain, "say why jobs do not run, and when they will";
    Jobs 2 "cancel" crate::job::signals::cancel, "cancel one or more jobs";
    Jobs 1 "top" crate::jobs::top, "display running Flux jobs";
    Jobs 2 "pstree" crate::jobs::tree, "display job hierarchies";
    Jobs 2 "pgrep" crate::jobs::search::pgrep, "search for jobs";
    Jobs 2 "pkill" crate::jobs::search::pkill, "cancel jobs that match";
    Jobs 2 "update" crate::job::update, "update attributes of active jobs";
    Plumbing 2 "job-frobnicator" crate::job::frobnicate, "Change jobspecs on standard input as the configuration says";
    Plumbing 2 "job-validator" crate::job::validate, "Check jobspecs on standard input";
    Plumbing 2 "multi-prog" crate::job::multi, "Run a different program in each task of a job";
    Plumbing 2 "post-job-event" crate::job::post, "Post an event to a job's eventlog";
    Jobs 1 "job" crate::job, "Job Subcommands (see: flux help job)";
    Jobs 1 "proxy" proxy, "proxy connections to Flux jobs and instances";
    Resources 2 "resource" resource, "list/manipulate Flux resource status";
    Resources 2 "queue" queue, "list and manipulate flux queues";
    Resources 2 "ion-resource" ion_resource, "ask and change the graph of the scheduler";
    Resources 2 "sim" sim, "play a trace of jobs to an instance under virtual time";
    Plumbing 2 "ion-R" ion_r, "Add the graph of the scheduler to a resource set";
    Resources 1 "overlay" overlay, "Show flux overlay network status";
    Resources 1 "uptime" uptime, "Tell how long Flux has been up and running";
    Other 1 "start" start, "bootstrap a local Flux instance";
    Other 1 "version" version, "Display flux version information";
    Other 1 "config" config, "Manage/query Flux configuration";
    Other 1 "env" env, "Print the flux environment or execute a command inside it";
    Other 1 "keygen" keygen, "generate keys for brokers, and for signing job requests";
    Other 2 "admin" admin, "Flux administration subcommands";
    Other 2 "hostlist" hostlist, "fetch, combine, and manipulate Flux hostlists";
    Plumbing 1 "R" resource_set, "Read, generate, and process RFC 20 Resource Set objects";
    Plumbing 1 "help" help, "Show how to use flux and its commands";
    Plumbing 1 "broker" broker, "Run a broker: one node of an instance";
    Plumbing 1 "getattr" attr::get, "Print a broker attribute";
    Plumbing 1 "setattr" attr::set, "Set a broker attribute";
    Plumbing 1 "lsattr" attr::list, "List broker attributes";
    Plumbing 1 "kvs" kvs, "Read and write the key-value store";
    Plumbing 1 "content" content, "Access content store";
    Plumbing 1 "cron" cron, "Schedule commands by time and event";
    Plumbing 1 "archive" archive, "Keep files in the key-value store";
    Plumbing 1 "dump" store::dump, "Write the key-value store to an archive";
    Plumbing 1 "restore" store::restore, "Read an archive back into the key-value store";
    Plumbing 1 "fsck" store::fsck, "Check the integrity of the key-value store";
    Plumbing 1 "gc" store::gc, "Delete blobs that nothing refers to any more";
    Plumbing 1 "exec" exec, "Run a command across the nodes of the instance";
    Plumbing 2 "sproc" sproc, "List, signal and wait for processes that run outside jobs";
    Plumbing 2 "housekeeping" housekeeping, "List and signal housekeeping after jobs";
    Plumbing 2 "jobtap" jobtap, "List, load and remove plugins of the job manager";
    Plumbing 1 "shutdown" shutdown, "Shut down the Flux instance";
    Plumbing 2 "uri" uri, "Resolve jobs, processes and addresses to addresses of instances";
    Plumbing 1 "startlog" startlog, "List when the instance was started and stopped";
    Plumbing 1 "event" event, "Send and receive Flux events";
    Plumbing 1 "module" module, "Manage the broker's modules";
    Plumbing 2 "modprobe" modprobe, "Load and remove modules with what they require";
    Plumbing 1 "ping" ping, "Measure the round-trip latency to a service";
    Plumbing 1 "pmi" pmi, "Try the PMI service of a launcher";
    Plumbing 1 "relay" relay, "Pass a broker's local connector on, for ssh";
    Plumbing 1 "dmesg" dmesg, "Print or control log ring buffer";
    Plumbing 1 "logger" logger, "Write a message to the log";
    Plumbing 1 "cgroup" cgroup, "Find control groups";
    Plumbing 1 "python" python, "Run python3 with Flux's package";
    Plumbing 1 "lptest" lptest, "Create lines of regular output for standard I/O testing";
}

/// The command of that name.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    COMMANDS.iter().find(|entry| entry.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (at, entry) in COMMANDS.iter().enumerate() {
            assert!(COMMANDS[at + 1..].iter().all(|other| other.name != entry.name), "{}", entry.name);
        }
    }
}
