//! What a shell does for its tasks before it starts them, and what it says of that (flux-shell-options(7)).

use std::path::Path;

use flux_shell::affinity::Affinity;
use flux_types::{Idset, IdsetFormat};

use crate::shell::{DEBUG, NOTICE, Shell, TRACE, WARNING};
use crate::stage;
use crate::start::StartFailure;

impl Shell {
    /// Archives, the topology, and words about processors. The job's temporary directory is there.
    ///
    /// # Errors
    /// Why the job cannot start.
    pub(crate) fn prepare(&mut self) -> Result<(), StartFailure> {
        let failed = |note: String| StartFailure { note, code: 1 };
        if let Some(stage) = self.plan.stage_in.clone()
            && !(stage.global && self.bundle.shell_rank > 0)
        {
            let dir = stage.destination.clone().unwrap_or_else(|| self.plan.tmpdir.clone());
            stage::stage_in(&self.bundle.uri, &stage, Path::new(&dir)).map_err(failed)?;
        }
        if let Some(restricted) = self.plan.topology {
            self.write_topology(restricted).map_err(|why| failed(format!("hwloc.xmlfile: {why}")))?;
        }
        self.tell_affinity();
        if self.plan.verbose > 0 {
            let (shell, tasks) = (self.bundle.shell_rank, self.plan.tasks.len());
            self.log(DEBUG, &format!("{shell}: task_count={tasks}"));
            if self.plan.pmi {
                self.log(DEBUG, "pmi-simple: simple wire protocol is enabled");
            }
        }
        Ok(())
    }

    fn write_topology(&mut self, restricted: bool) -> Result<(), String> {
        let own = if restricted { self.cpus.of(&self.plan.node.cores, &Affinity::On) } else { None };
        let allowed = own.map_or(flux_topo::Allowed::OfThisProcess, flux_topo::Allowed::These);
        let xml = flux_topo::hwloc::export_xml(&allowed).map_err(|error| error.to_string())?;
        let path = format!("{}/hwloc.xml", self.plan.tmpdir);
        std::fs::write(&path, xml).map_err(|error| format!("{path}: {error}"))?;
        self.plan.env.insert("HWLOC_XMLFILE".to_owned(), path);
        // It would make hwloc look elsewhere.
        self.plan.env.remove("HWLOC_COMPONENTS");
        Ok(())
    }

    /// `cpu-affinity=verbose,...` tells what tasks get; `dry-run` takes it away from them then. A map may name what is not
    /// there: such a task is not bound.
    fn tell_affinity(&mut self) {
        let manner = self.plan.manner;
        if manner.verbose {
            let all = self.shown(&self.plan.node.cores.clone());
            self.log(NOTICE, &format!("cpu-affinity: cpus: {all}"));
        }
        let here = flux_sys::affinity::get(0).ok();
        for at in 0..self.plan.tasks.len() {
            let task = &self.plan.tasks[at];
            let (rank, local, Some(cores)) = (task.rank, task.local, task.cores.clone()) else { continue };
            if manner.verbose || self.plan.verbose > 1 {
                let (level, cpus) = (if manner.verbose { NOTICE } else { TRACE }, self.shown(&cores));
                self.log(level, &format!("cpu-affinity: task {local}: cpus: {cpus}"));
            }
            let is_map = matches!(self.plan.cpu_affinity, Affinity::Map(_));
            let is_absent = here.as_ref().is_some_and(|here| !cores.iter().any(|cpu| here.contains(cpu)));
            if is_map && is_absent {
                self.log(
                    WARNING,
                    &format!("cpu-affinity: task {rank}: no processor of {cores} is there; it is not bound"),
                );
                self.plan.tasks[at].cores = None;
            }
            if manner.dry_run {
                self.plan.tasks[at].cores = None;
            }
        }
    }

    /// The processors of cores, as a set.
    fn shown(&mut self, cores: &Idset) -> String {
        let cpus = self.cpus.of(cores, &self.plan.cpu_affinity).or_else(|| flux_sys::affinity::get(0).ok());
        let ids: Idset = cpus.iter().flat_map(|cpus| cpus.iter()).collect();
        ids.encode(IdsetFormat::RANGE)
    }
}
