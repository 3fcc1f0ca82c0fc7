//! The co-processes of a shell: started before its tasks, ended after them.

use std::os::fd::AsFd;
use std::time::Duration;

use flux_shell::helper::Helper;
use flux_shell::template::{Scope, render, scope};
use flux_sys::process::Child;
use flux_sys::spawn::{Session, Spawn};

use crate::shell::{DEBUG, ERR, Shell};

const SIGTERM: i32 = 15;

/// One that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub name: String,
    pub child: Child,
}

impl Shell {
    /// One that cannot be started is complained of: the job runs without it.
    pub(crate) fn start_helpers(&mut self) {
        for helper in std::mem::take(&mut self.plan.helpers) {
            match self.start_helper(&helper) {
                Ok(child) => self.helpers.push(Running { name: helper.name, child }),
                Err(why) => self.log(ERR, &format!("coprocess: {}: {why}", helper.name)),
            }
        }
    }

    fn start_helper(&mut self, helper: &Helper) -> Result<Child, String> {
        let path = render(&helper.output, &self.plan.tags(&self.bundle, None));
        // Only the first shell empties a file that all nodes share.
        let append = self.bundle.shell_rank > 0 && scope(&helper.output) == Scope::Job;
        let number = self.files.open(&path, append, false).map_err(|error| format!("{path}: {error}"))?;
        let output = self.files.file(number);
        let null = std::fs::File::open("/dev/null").map_err(|error| error.to_string())?;
        Spawn::new(&helper.argv)
            .envs(self.plan.env.iter())
            .stdio(null.as_fd(), output.as_fd(), output.as_fd())
            .session(Session::NewGroup)
            .parent_death_signal(9)
            .start()
            .map_err(|error| format!("launch failed: {}", flux_wire::Errno(error.errno())))
    }

    /// All tasks have ended: asks co-processes to end too. `true` once none is left.
    pub(crate) fn helpers_ended(&mut self) -> bool {
        if !self.helpers.is_empty() && !self.helpers_told {
            self.helpers_told = true;
            self.signal_helpers(SIGTERM);
            self.kill_helpers_after(Duration::from_secs_f64(self.plan.helper_kill_timeout));
        }
        self.helpers.is_empty()
    }

    pub(crate) fn signal_helpers(&self, signum: i32) {
        for helper in &self.helpers {
            // One that has just ended is no error.
            let _ = flux_sys::process::kill_group(helper.child.pid(), signum);
        }
    }

    /// A co-process has ended.
    pub(crate) fn helper_exited(&mut self, at: usize, status: i32) {
        let helper = self.helpers.remove(at);
        if self.plan.verbose > 0 {
            let code = flux_shell::exits::exit_code(status);
            self.log(DEBUG, &format!("coprocess: {} complete status={code}", helper.name));
        }
        self.check_end();
    }
}
